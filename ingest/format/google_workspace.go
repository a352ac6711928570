package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// googleWorkspace is the activity reports of Google Workspace: admin, login,
// token, drive, groups and the others. OAuth grants to third parties are known by
// client and user together.
var googleWorkspace = product{
	name:  "google_workspace",
	marks: []string{`"applicationName"`, `"id"`, `"actor"|"events"|"parameters"|"reports#activity"`},
	under: []string{"data.", "json."},
	split: "events",
	fields: `
#                                      = @part
id.time                                = time @time
id.uniqueQualifier                     = @qualifier attrs.event.id
id.applicationName                     = service attrs.event.provider @app
id.customerId                          = @customer attrs.organization.id
actor.email                            = actor attrs.user.email
actor.profileId                        = actor?? attrs.user.id
actor.key                              = actor?
actor.callerType                       = @caller attrs.caller_type
ipAddress                              = src_ip
ownerDomain                            = attrs.owner_domain
events.name                            = @name
events.type                            = attrs.event_type
name                                   = @name
type                                   = attrs.event_type
events.parameters.name                 = key
events.parameters.value                = value
events.parameters.boolValue            = value
events.parameters.intValue             = value
events.parameters.multiValue           = value
events.parameters.multiIntValue        = value
events.parameters[client_id]           = @client attrs.client_id
events.parameters[app_name]            = attrs.app_name fact.app
events.parameters[scope]               = scope fact.scope
events.parameters[method_name]         = attrs.method_name
events.parameters[api_name]            = attrs.api_name
events.parameters[num_response_bytes]  = bytes_out
events.parameters[API_CLIENT_NAME]     = @client attrs.client_id
events.parameters[API_SCOPES]          = scope fact.scope
events.parameters[USER_EMAIL]          = attrs.user.target.email @target fact.owner
events.parameters[GROUP_EMAIL]         = attrs.group.email
events.parameters[DOMAIN_NAME]         = attrs.target_domain
events.parameters[GROUP_NAME]          = attrs.user.target.group.name
events.parameters[WEB_ADDRESS]         = url
events.parameters[login_challenge_status] = attrs.challenge_status
events.parameters[doc_id]              = resource
events.parameters[doc_title]           = attrs.file.name
events.parameters[affected_email_address] = attrs.user.target.email @target fact.owner actor???
events.parameters[login_failure_type]  = error
events.parameters[failure_type]        = error?
events.parameters[is_suspicious]       = attrs.is_suspicious
events.parameters[login_type]          = attrs.login_type
events.parameters[APPLICATION_NAME]    = attrs.target_app
events.parameters[APP_ID]              = attrs.app_id
events.parameters[ROLE_NAME]           = attrs.role
events.parameters[SETTING_NAME]        = attrs.setting
parameters[client_id]                  = @client attrs.client_id
parameters[app_name]                   = attrs.app_name fact.app
parameters[scope]                      = scope fact.scope
parameters[API_CLIENT_NAME]            = @client attrs.client_id
parameters[API_SCOPES]                 = scope fact.scope
parameters[USER_EMAIL]                 = attrs.user.target.email @target fact.owner
parameters[GROUP_EMAIL]                = attrs.group.email
parameters[doc_id]                     = resource
parameters[doc_title]                  = attrs.file.name
parameters[affected_email_address]     = attrs.user.target.email @target fact.owner actor???
parameters[login_failure_type]         = error
`,
	actions: `
authorize                        = credential +created type:oauth
revoke                           = credential +revoked type:oauth
activity                         = read
AUTHORIZE_API_CLIENT_ACCESS      = credential +created type:domain_wide_delegation
REMOVE_API_CLIENT_ACCESS         = credential +revoked type:domain_wide_delegation
REVOKE_3LO_TOKEN                 = credential +revoked type:oauth
REVOKE_ASP                       = credential
GENERATE_*                       = credential
*_TOKEN*                         = credential
*2SV*                            = credential
*2_STEP*                         = credential
*PASSWORD*                       = credential
2sv_*                            = credential
password_*                       = credential
recovery_*                       = credential
titanium_*                       = credential
DELETE_USER                      = admin +owner_left
SUSPEND_USER                     = admin +owner_left
login_success                    = auth success
login_failure                    = auth failure error:authn
login_challenge                  = auth
login_verification               = auth
logout                           = auth success
blocked_sender                   = admin
account_disabled*                = admin
suspicious_*                     = auth
gov_attack_warning               = auth
*DATA_EXPORT*                    = export
*EXPORT*                         = export
CUSTOMER_TAKEOUT_*               = export
USER_LICENSE_*                   = admin
download                         = export
copy                             = export
view                             = read
edit                             = write
create                           = write
upload                           = write
delete                           = delete
trash                            = delete
change_*access                   = admin
change_acl_editors               = admin
change_document_*                = admin
shared_drive_*                   = admin
add_user                         = admin
remove_user                      = admin
join                             = write
invite_user                      = admin
ACCESS_DENY_EVENT                = auth denied error:authz
ACCESS                           = read
rule_match                       = read
CREATE_*                         = admin
DELETE_*                         = admin
CHANGE_*                         = admin
ADD_*                            = admin
REMOVE_*                         = admin
ASSIGN_*                         = admin
UNASSIGN_*                       = admin
GRANT_*                          = admin
REVOKE_*                         = admin
TOGGLE_*                         = admin
UPDATE_*                         = admin
`,
	derive: func(p *auditParser) {
		row := p.row
		row.SetText(tokenwatch.ColAction, p.text("name"))
		if p.text("qualifier") != nil && p.text("time") != nil { // together they are unique
			row.SetText(tokenwatch.ColRequestID, p.line(' ', p.text("time"), p.text("qualifier"), p.text("part")))
		}
		p.or(tokenwatch.ColIssuer, []byte("google"))
		app := p.text("app")
		p.or(tokenwatch.ColAction, app)
		kind := "user"
		if !row.Has(tokenwatch.ColActor) { // somebody of the customer
			row.SetText(tokenwatch.ColActor, p.text("customer"))
			kind = "account"
		}
		if caller := p.text("caller"); caller != nil && string(caller) != "USER" || bytes.HasSuffix(row.Text(tokenwatch.ColActor), []byte(".gserviceaccount.com")) {
			kind = "service"
		}
		p.set(tokenwatch.ColActorKind, kind)
		client, user := p.text("client"), row.Text(tokenwatch.ColActor)
		if client == nil {
			return
		}
		if target := p.text("target"); target != nil {
			user = target
		}
		grant := row.Build(func(b []byte) []byte { return append(append(append(b, client...), '/'), user...) })
		name := string(p.text("name"))
		if name == "AUTHORIZE_API_CLIENT_ACCESS" || name == "REMOVE_API_CLIENT_ACCESS" {
			grant = client // for every user of the domain
		}
		if name == "activity" {
			row.AddName(tokenwatch.NameProviderID, "google_oauth", grant)
			return
		}
		p.hold(heldPart{part: factSubject, kind: tokenwatch.NameProviderID, issuer: "google_oauth", value: grant})
		if name == "authorize" || name == "revoke" {
			p.hold(heldPart{part: factOwner, value: user})
		}
	},
}
