package format

import "github.com/tokenwatch/tokenwatch"

// slack is the Audit Logs API of Slack Enterprise.
var slack = product{
	name: "slack",
	marks: []string{
		`"action"`,
		`"actor"`,
		`"context"|"date_create"`,
		`"ip_address"|"date_create"`,
		`"ua"|"entity"`,
	},
	under: []string{"json."},
	fields: `
date_create                    = time?
details.action_timestamp       = time attrs.action_timestamp
id                             = request_id
action                         = action
actor.type                     = drop
actor.user.email               = actor attrs.user.email
actor.user.name                = actor? attrs.user.full_name
actor.user.id                  = actor?? attrs.user.id
actor.user.team                = attrs.team
entity.type                    = @type attrs.entity.type
entity.user.id                 = @entity attrs.user.target.id
entity.user.email              = attrs.user.target.email fact.owner
entity.user.name               = attrs.user.target.full_name
entity.app.id                  = @entity attrs.app.id fact.lineage
entity.app.name                = attrs.app.name fact.app
entity.app.scopes              = attrs.app.scopes fact.scope
entity.workspace.id            = @entity attrs.entity.workspace
entity.enterprise.id           = @entity attrs.entity.enterprise
entity.channel.id              = @entity attrs.channel.id
entity.channel.name            = attrs.channel.name
entity.file.id                 = @entity attrs.file.id
entity.file.name               = attrs.file.name
entity.role.id                 = @entity attrs.role.id
entity.workflow.id             = @entity attrs.workflow.id
context.ip_address             = src_ip
context.ua                     = user_agent
context.session_id             = session
context.location.id            = attrs.organization.id
context.location.name          = attrs.organization.name
context.location.domain        = attrs.location.domain
context.app.id                 = attrs.app.id
details.new_scopes             = attrs.new_scopes fact.scope
details.previous_scopes        = attrs.previous_scopes fact.removed
details.scopes                 = attrs.scopes fact.scope
details.bot_scopes             = attrs.bot_scopes fact.scope
details.app_owner_id           = attrs.app.owner fact.owner
details.token_id               = attrs.token_id fact.subject:provider_id@slack
details.type                   = attrs.details.type
`,
	actions: `
app_installed                    = credential +created type:app
app_uninstalled                  = credential +revoked type:app
app_scopes_expanded              = credential +scope_changed type:app
app_token_preserved              = credential
app_deleted                      = credential +revoked type:app
app_restricted                   = credential +disabled type:app
app_approved                     = credential +enabled type:app
app_collaborator_*               = admin
app_resources_*                  = credential
bot_token_upgraded               = credential +scope_changed type:bot_token
bot_token_downgraded             = credential +scope_changed type:bot_token
org_app_workspace_*              = credential
token_rotation_enabled           = credential
user_deactivated                 = admin +owner_left
user_login_failed                = auth failure error:authn
user_login                       = auth success
user_logout*                     = auth success
user_session_*                   = auth
user_sessions_*                  = auth
anomaly                          = auth
permissions_*                    = admin
role_*                           = admin
owner_transferred                = admin
pref.*                           = admin
ekm_*                            = admin
legal_hold_*                     = admin
native_dlp_*                     = admin
barrier_*                        = admin
organization_*                   = admin
workspace_*                      = admin
billing_*                        = admin
manual_export_*                  = export
scheduled_export_*               = export
corporate_export*                = export
*export*                         = export
file_download*                   = export
file_shared                      = export
file_public_link_*               = export
message_*_viewed                 = read
*_deleted                        = delete
*_created                        = write
*_updated                        = write
*_uploaded                       = write
user_*                           = admin
`,
	derive: func(p *auditParser) {
		p.or(tokenwatch.ColIssuer, []byte("slack"))
		p.or(tokenwatch.ColResource, p.text("entity"))
		p.set(tokenwatch.ColActorKind, "user")
	},
}
