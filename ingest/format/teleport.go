package format

import "github.com/tokenwatch/tokenwatch"

// teleport is the audit log of Teleport.
var teleport = product{
	name: "teleport",
	marks: []string{
		`"event"`,
		`"ei"|"code":"T|"code": "T`,
		`"uid"`,
		`"time"`,
	},
	fields: `
time                        = time
uid                         = request_id
event                       = action
code                        = attrs.event.code
ei                          = drop
user                        = actor attrs.user.name
user_kind                   = @kind
login                       = attrs.login
success                     = outcome
error                       = attrs.error.message @error
message                     = attrs.message
method                      = attrs.login_method
addr.remote                 = src_ip
addr.local                  = drop
remote_addr                 = src_ip?
client_ip                   = src_ip??
user_agent                  = user_agent
sid                         = session
cluster_name                = attrs.cluster
server_id                   = resource?
server_hostname             = resource
kubernetes_cluster          = resource
db_service                  = resource
app_name                    = resource
name                        = @name attrs.object.name
expires                     = attrs.expires fact.expires
cert_type                   = attrs.cert_type
identity.user               = actor? attrs.identity.user fact.owner
identity.roles              = scope fact.scope
identity.logins             = attrs.identity.logins
identity.impersonator       = attrs.impersonator
identity.expires            = attrs.identity.expires fact.expires
identity.prev_identity_expires = attrs.prev_identity_expires
identity.credential_id      = name:provider_id@teleport
identity.client_ip          = src_ip???
identity.bot_name           = attrs.bot
identity.route_to_cluster   = drop
identity.teleport_cluster   = drop
identity.*                  = drop
roles                       = attrs.roles fact.scope
join_method                 = attrs.join_method
token_name                  = attrs.token_name fact.label
mfa_device.mfa_device_uuid  = attrs.mfa_device
mfa_device.mfa_device_name  = attrs.mfa_device_name
target.user                 = attrs.user.target.name
path                        = attrs.path
program                     = attrs.program
argv                        = attrs.argv
return_code                 = attrs.return_code
request_path                = path
verb                        = method
response_code               = status
updated_by                  = actor?
`,
	outcomes: `
true  = success
false = failure
`,
	actions: `
join_token.create           = credential +created type:join_token
provision_token.create      = credential +created type:join_token
trusted_cluster_token.create = credential +created
bot.join                    = auth
instance.join               = auth
cert.create                 = credential
bot.create                  = credential
bot.delete                  = credential
user.login                  = auth
auth                        = auth
user.password_change        = credential
reset_password_token.create = credential
recovery_*                  = credential
privilege_token.create      = credential
mfa.*                       = credential
user.delete                 = admin +owner_left
lock.*                      = admin
user.*                      = admin
role.*                      = admin
saml.*                      = admin
oidc.*                      = admin
github.*                    = admin
access_request.*            = admin
billing.*                   = admin
session.start               = auth
session.end                 = auth
session.join                = auth
session.command             = write
session.network             = read
session.disk                = read
exec                        = write
scp                         = export
sftp                        = export
db.session.query            = read
db.session.start            = auth
kube.request                = read
app.session.*               = read
*.list                      = list
*.delete*                   = delete
*.create*                   = write
*.update*                   = write
`,
	derive: func(p *auditParser) {
		p.or(tokenwatch.ColIssuer, []byte("teleport"))
		p.or(tokenwatch.ColService, []byte("teleport"))
		p.or(tokenwatch.ColResource, p.text("name"))
		if string(p.text("kind")) == "2" {
			p.set(tokenwatch.ColActorKind, "service")
		} else if p.row.Has(tokenwatch.ColActor) {
			p.set(tokenwatch.ColActorKind, "user")
		}
		switch string(p.row.Text(tokenwatch.ColAction)) {
		case "user.delete":
			p.hold(heldPart{part: factOwner, value: p.text("name")})
		case "join_token.create", "provision_token.create", "trusted_cluster_token.create":
			p.hold(heldPart{part: factLineage, value: p.text("name")})
		}
		if p.text("error") != nil && string(p.row.Text(tokenwatch.ColOutcome)) == "false" && string(p.row.Text(tokenwatch.ColAction)) == "user.login" {
			p.set(tokenwatch.ColError, "authn")
		}
	},
}
