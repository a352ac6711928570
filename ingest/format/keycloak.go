package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// keycloak is Keycloak's events as JSON: login and token events of users and
// clients, and admin events, from the API, a listener or a message queue.
var keycloak = product{
	name: "keycloak",
	marks: []string{
		`"realmId"|"realmName"|"realm_id"`,
		`"type"|"operationType"`,
		`"clientId"|"authDetails"|"ipAddress"|"resourceType"`,
		`"time"|"timestamp"|"@timestamp"`,
	},
	fields: `
time                       = time
timestamp                  = time?
@timestamp                 = time??
id                         = request_id
type                       = @type
operationType              = @operation
resourceType               = @resource attrs.resource.type
resourcePath               = resource
representation             = drop
realmId                    = @realm attrs.realm.id
realmName                  = @realmname attrs.realm.name
clientId                   = actor???? attrs.client_id @client
userId                     = actor?? attrs.user.id
sessionId                  = session
ipAddress                  = src_ip
error                      = error
details.username           = actor attrs.user.name
details.auth_method        = attrs.auth_method
details.auth_type          = attrs.auth_type
details.grant_type         = attrs.grant_type
details.refresh_token_id   = name:provider_id@keycloak
details.token_id           = name:jti
details.access_token_id    = name:jti
details.refresh_token_type = attrs.refresh_token_type
details.scope              = scope fact.scope
details.client_auth_method = token_kind
details.code_id            = attrs.code_id
details.redirect_uri       = attrs.redirect_uri
details.impersonator       = attrs.impersonator
details.reason             = attrs.event.reason
authDetails.realmId        = attrs.auth_realm
authDetails.clientId       = attrs.client_id
authDetails.userId         = actor? attrs.user.id
authDetails.ipAddress      = src_ip
authDetails.username       = actor attrs.user.name
`,
	actions: `
LOGIN                          = auth success
LOGIN_ERROR                    = auth denied error:authn
CLIENT_LOGIN                   = auth success +created type:access_token
CODE_TO_TOKEN                  = auth success +created type:access_token
REFRESH_TOKEN                  = auth success
TOKEN_EXCHANGE                 = credential +created type:access_token
REVOKE_GRANT                   = credential
*_ERROR                        = auth denied error:authn
LOGOUT                         = auth
INTROSPECT_TOKEN               = read
USER_INFO_REQUEST              = read
*PASSWORD*                     = credential
*TOTP*                         = credential
*CREDENTIAL*                   = credential
IMPERSONATE                    = admin
DELETE USER                    = admin +owner_left
DELETE_ACCOUNT                 = admin +owner_left
ACTION CLIENT                  = credential
CREATE CLIENT                  = credential +created type:client
UPDATE CLIENT                  = credential +scope_changed type:client
DELETE CLIENT                  = credential +revoked type:client
* CLIENT_INITIAL_ACCESS_MODEL  = credential
* *CREDENTIAL*                 = credential
* USER                         = admin
* *ROLE*                       = admin
* GROUP*                       = admin
* REALM*                       = admin
* AUTH*                        = admin
* IDENTITY_PROVIDER*           = admin
CREATE *                       = admin
UPDATE *                       = admin
DELETE *                       = admin
ACTION *                       = admin
REGISTER                       = write
UPDATE_*                       = write
VERIFY_*                       = auth
PERMISSION_TOKEN               = auth
`,
	derive: func(p *auditParser) {
		row := p.row
		if op := p.text("operation"); op != nil {
			p.join(tokenwatch.ColAction, op, []byte(" "), p.text("resource"))
			if id, ok := bytes.CutPrefix(row.Text(tokenwatch.ColResource), []byte("clients/")); ok {
				id, _, _ = bytes.Cut(id, []byte("/"))
				p.hold(heldPart{part: factLineage, value: id})
			}
			if id, ok := bytes.CutPrefix(row.Text(tokenwatch.ColResource), []byte("users/")); ok {
				id, _, _ = bytes.Cut(id, []byte("/"))
				p.hold(heldPart{part: factOwner, value: id})
			}
		} else {
			row.SetText(tokenwatch.ColAction, p.text("type"))
			switch string(p.text("type")) {
			case "CLIENT_LOGIN", "CODE_TO_TOKEN", "TOKEN_EXCHANGE":
				p.namesAreSubject()
				p.hold(heldPart{part: factApp, value: p.text("client")})
				p.hold(heldPart{part: factOwner, value: row.Text(tokenwatch.ColActor)})
			}
		}
		realm := p.text("realmname")
		if realm == nil {
			realm = p.text("realm")
		}
		p.or(tokenwatch.ColIssuer, realm)
		p.or(tokenwatch.ColService, p.text("client"))
		if row.Has(tokenwatch.ColActor) {
			kind := "user"
			if bytes.HasPrefix(row.Text(tokenwatch.ColActor), []byte("service-account-")) || string(p.text("type")) == "CLIENT_LOGIN" {
				kind = "service"
			}
			p.set(tokenwatch.ColActorKind, kind)
		}
	},
}
