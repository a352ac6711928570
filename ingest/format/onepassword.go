package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// onePassword is the events API of 1Password: audit events, uses of items and
// attempts to sign in.
var onePassword = product{
	name: "onepassword",
	marks: []string{
		`"uuid"`,
		`"timestamp"`,
		`"actor_uuid"|"item_uuid"|"session_uuid"`,
		`"object_type"|"vault_uuid"|"category"`,
	},
	fields: `
timestamp                  = time
uuid                       = request_id
action                     = @action
actor_uuid                 = actor?? attrs.user.id
actor_details.uuid         = actor??
actor_details.email        = actor attrs.user.email
actor_details.name         = actor? attrs.user.name
actor_type                 = @actortype
object_type                = @object attrs.object.type
object_uuid                = @objectid attrs.object.id
object_details.email       = attrs.user.target.email fact.owner
object_details.name        = attrs.user.target.name
object_details.uuid        = attrs.user.target.id
aux_id                     = attrs.aux_id
aux_uuid                   = attrs.aux_uuid
aux_info                   = attrs.aux_info fact.label
session.uuid               = session
session_uuid               = session
session.ip                 = src_ip
session.device_uuid        = attrs.device.id
session.login_time         = attrs.session.login_time
location.country           = src_country
location.region            = drop
location.city              = attrs.city
location.latitude          = drop
location.longitude         = drop
country                    = src_country
category                   = @category
type                       = @type attrs.sign_in_type
details.value              = attrs.details
user.uuid                  = actor?? attrs.user.id
user.email                 = actor attrs.user.email
user.name                  = actor? attrs.user.full_name
target_user.uuid           = actor?? attrs.user.id
target_user.email          = actor attrs.user.email
target_user.name           = actor? attrs.user.full_name
client.app_name            = @app attrs.client_app
client.app_version         = @appversion
client.platform_name       = attrs.platform
client.platform_version    = attrs.platform_version
client.os_name             = attrs.host.os.name
client.os_version          = attrs.host.os.version
client.ip_address          = src_ip
item_uuid                  = resource
vault_uuid                 = attrs.vault
used_version               = attrs.used_version
`,
	outcomes: `
success                    = success
firewall_reported_success  = success
credentials_failed         = failure
mfa_failed                 = failure
sso_failed                 = failure
modern_version_failed      = failure
firewall_failed            = denied
`,
	actions: `
create sat                 = credential +created type:service_account_token own
create satoken             = credential +created type:service_account_token own
create svcacctoken         = credential +created type:service_account_token own
revoke sat                 = credential +revoked type:service_account_token
revoke satoken             = credential +revoked type:service_account_token
delete satoken             = credential +revoked type:service_account_token
create *token              = credential +created
revoke *token              = credential +revoked
rename *token              = credential
updatea *token             = credential
trename *                  = credential
tverify *                  = credential
trevoke *                  = credential
suspend user               = admin +owner_left
delete user                = admin +owner_left
sign in                    = auth
reveal item                = credential
use item                   = credential
fill item                  = credential
secure-copy item           = credential
export item                = export
export *                   = export
server-fetch item          = credential
server-update item         = write
server-create item         = write
enter-item-edit-mode item  = read
select-sso-provider item   = read
share item                 = export
*                          = admin
`,
	derive: func(p *auditParser) {
		row := p.row
		action := p.text("action")
		switch category := p.text("category"); {
		case category != nil && action == nil:
			p.set(tokenwatch.ColAction, "sign in")
			p.attr("event.action", category)
			row.SetText(tokenwatch.ColOutcome, category)
			if string(p.t.outcomes[string(category)]) != "success" {
				row.SetText(tokenwatch.ColError, p.text("type"))
			}
		case p.text("object") == nil:
			if action == nil {
				action = []byte("use")
			} else {
				p.attr("event.action", action)
			}
			p.join(tokenwatch.ColAction, action, []byte(" item"))
		default:
			p.join(tokenwatch.ColAction, action, []byte(" "), p.text("object"))
			p.attr("event.action", action)
			p.or(tokenwatch.ColResource, p.text("objectid"))
			if object := p.text("object"); bytes.HasSuffix(object, []byte("token")) || string(object) == "sat" {
				p.hold(heldPart{part: factSubject, kind: tokenwatch.NameProviderID, value: p.text("objectid")})
			}
		}
		p.or(tokenwatch.ColIssuer, []byte("1password"))
		if app := p.text("app"); app != nil && !row.Has(tokenwatch.ColUserAgent) {
			p.join(tokenwatch.ColUserAgent, app, []byte("/"), p.text("appversion"))
		}
		if row.Has(tokenwatch.ColActor) {
			p.set(tokenwatch.ColActorKind, "user")
			if t := p.text("actortype"); t != nil && string(t) != "user" {
				p.set(tokenwatch.ColActorKind, "service")
			}
		}
	},
}
