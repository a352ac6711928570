package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// okta is the Okta System Log: as the API gives it, from EventBridge and from
// event hooks. An API token that acted is known by the id of its transaction's
// detail or of the actor; tokens and clients acted upon are the targets.
var okta = product{
	name: "okta",
	marks: []string{
		`"eventType"`,
		`"displayMessage"|"legacyEventType"|"authenticationContext"|"securityContext"|"debugContext"|"severity"`,
		`"actor"|"target"`,
		`"published"|"outcome"|"uuid"`,
	},
	under: []string{"detail.", "data.events.", "json."},
	fields: `
published                                   = time
uuid                                        = request_id
eventType                                   = action
displayMessage                              = attrs.message
severity                                    = attrs.log.level
outcome.result                              = outcome
outcome.reason                              = attrs.event.reason @reason
actor.alternateId                           = actor @login attrs.user.email
actor.displayName                           = actor? attrs.user.full_name
actor.id                                    = actor?? attrs.client.user.id
actor.type                                  = @actortype
client.ipAddress                            = src_ip
client.userAgent.rawUserAgent               = user_agent
request.ipChain.ip                          = attrs.ip_chain
authenticationContext.externalSessionId     = session
authenticationContext.rootSessionId         = attrs.root_session
authenticationContext.issuer.id             = attrs.issuer_id
authenticationContext.credentialType        = token_kind
transaction.id                              = attrs.transaction_id
transaction.detail.requestApiTokenId        = name:provider_id
transaction.detail.rootApiTokenId           = name:provider_id
debugContext.debugData.requestApiTokenId    = name:provider_id
debugContext.debugData.requestUri           = path
debugContext.debugData.url                  = drop
debugContext.debugData.grantedScopes        = scope fact.scope
debugContext.debugData.requestedScopes      = scope?
debugContext.debugData.grantType            = attrs.grant_type
debugContext.debugData.hash                 = attrs.token_hash
securityContext.asNumber                    = src_asn
target.type                                 = key
target.id                                   = value
target[User]                                = attrs.user.target.id @targetuser
target[AppUser]                             = attrs.app_user_id
target[UserGroup]                           = attrs.user.target.group.id
target[Token]                               = fact.subject:provider_id attrs.token.id
target[access_token]                        = fact.subject:provider_id attrs.token.id
target[refresh_token]                       = fact.subject:provider_id attrs.token.id
target[AppInstance]                         = attrs.app_instance_id fact.lineage
target[PublicClientApp]                     = attrs.client_id fact.lineage
target[Client secret]                       = fact.subject:provider_id attrs.client_secret_id
target[ClientSecret]                        = fact.subject:provider_id attrs.client_secret_id
target.alternateId                          = attrs.target.alternate_id fact.owner
target.displayName                          = value:name
target[User]:name                           = attrs.user.target.full_name
target[UserGroup]:name                      = attrs.user.target.group.name
target[Token]:name                          = attrs.target.name fact.label
target[PublicClientApp]:name                = attrs.target.name fact.app
target[AppInstance]:name                    = attrs.target.name fact.app
target.detailEntry.expiresAt                = attrs.expires_at fact.expires
`,
	outcomes: `
SUCCESS    = success
ALLOW      = success
SKIPPED    = unknown
UNKNOWN    = unknown
CHALLENGE  = unknown
UNANSWERED = failure
FAILURE    = failure
DENY       = denied
RATE_LIMIT = denied
ABANDONED  = failure
`,
	actions: `
system.api_token.create             = credential +created type:api_token own
system.api_token.update             = credential +scope_changed type:api_token
system.api_token.revoke             = credential +revoked type:api_token
system.api_token.enable             = credential +enabled type:api_token
system.api_token.*                  = credential
app.oauth2.as.token.grant*          = credential +created
app.oauth2.token.grant*             = credential +created
app.oauth2.*.token.grant*           = credential +created
app.oauth2.*token.revoke*           = credential +revoked
app.oauth2.client.lifecycle.create  = credential +created type:oauth_client
app.oauth2.client.lifecycle.delete  = credential +revoked type:oauth_client
app.oauth2.client.lifecycle.deactivate = credential +disabled type:oauth_client
app.oauth2.client.lifecycle.activate   = credential +enabled type:oauth_client
app.oauth2.client_secret.create     = credential +created type:client_secret
app.oauth2.credentials.lifecycle.create     = credential +created type:client_secret
app.oauth2.credentials.lifecycle.delete     = credential +revoked type:client_secret
app.oauth2.credentials.lifecycle.activate   = credential +enabled type:client_secret
app.oauth2.credentials.lifecycle.deactivate = credential +disabled type:client_secret
app.oauth2.*key.rollover            = credential
app.oauth2.*scope*                  = credential
app.oauth2.*                        = auth
app.generic.unauth_app_access_attempt = auth denied error:authz
user.lifecycle.deactivate           = admin +owner_left
user.lifecycle.delete*              = admin +owner_left
user.lifecycle.suspend              = admin +owner_left
user.lifecycle.*                    = admin
user.session.access_admin_app       = admin
user.session.impersonation.*        = admin
user.session.*                      = auth
user.authentication.*               = auth
user.authenticate*                  = auth
user.mfa.*                          = credential
user.credential.*                   = credential
user.account.*password*             = credential
user.account.privilege.*            = admin
group.privilege.*                   = admin
policy.*                            = admin
application.lifecycle.*             = admin
application.policy.*                = admin
application.integration.*           = admin
application.provision.*             = write
app.access_request.*                = admin
device.lifecycle.*                  = admin
event_hook.*                        = admin
inline_hook.*                       = admin
zone.*                              = admin
system.idp.*                        = admin
iam.*                               = admin
system.import.*                     = write
security.threat.detected            = auth
*.authorize*                        = auth
*membership.add                     = admin
*membership.remove                  = admin
*.export*                           = export
*.delete                            = delete
*.create                            = write
*.update                            = write
`,
	derive: func(p *auditParser) {
		row := p.row
		p.or(tokenwatch.ColIssuer, []byte("okta"))
		switch string(p.text("actortype")) {
		case "User":
			p.set(tokenwatch.ColActorKind, "user")
		case "SystemPrincipal", "PublicClientApp", "AppInstance", "Client":
			p.set(tokenwatch.ColActorKind, "service")
		}
		if login := p.text("login"); login != nil {
			name, _, _ := bytes.Cut(login, []byte("@"))
			p.attr("user.name", name)
		}
		if o := string(row.Text(tokenwatch.ColOutcome)); o == "FAILURE" || o == "DENY" {
			p.or(tokenwatch.ColError, p.text("reason"))
		}
	},
}
