package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// databricks is the audit log of Databricks accounts and workspaces: delivered
// files and the rows of system.access.audit.
var databricks = product{
	name:  "databricks",
	marks: []string{`"serviceName"|"service_name"`, `"actionName"|"action_name"`, `"userIdentity"|"user_identity"|"workspaceId"|"workspace_id"|"requestParams"|"request_params"`},
	fields: `
timestamp                               = time
eventTime                               = time?
event_time                              = time?
requestId                               = request_id
request_id                              = request_id
eventId                                 = attrs.event.id
serviceName                             = @service
service_name                            = @service
actionName                              = @action
action_name                             = @action
userIdentity.email                      = actor attrs.user.email
user_identity.email                     = actor attrs.user.email
userIdentity.subjectName                = actor?
user_identity.subject_name              = actor?
sourceIPAddress                         = src_ip
source_ip_address                       = src_ip
userAgent                               = user_agent
user_agent                              = user_agent
sessionId                               = session
session_id                              = session
auditLevel                              = attrs.level
workspaceId                             = @workspace attrs.workspace
workspace_id                            = @workspace attrs.workspace
accountId                               = @account attrs.organization.id
account_id                              = @account attrs.organization.id
version                                 = drop
response.statusCode                     = status
response.status_code                    = status
response.errorMessage                   = attrs.error.message
response.error_message                  = attrs.error.message
response.result                         = attrs.result
requestParams.tokenId                   = @token attrs.token.id
requestParams.tokenHash                 = @hash attrs.token.hash
requestParams.tokenExpirationTime       = attrs.token.expires fact.expires
requestParams.tokenCreatedBy            = attrs.token.owner fact.owner
requestParams.comment                   = attrs.comment fact.label
requestParams.authentication_method     = token_kind
requestParams.client_id                 = attrs.client_id
requestParams.targetUserName            = attrs.user.target.email fact.owner
requestParams.targetUserId              = attrs.user.target.id
requestParams.targetGroupName           = attrs.group.name
requestParams.path                      = @path
requestParams.scope                     = @scope attrs.secret_scope
requestParams.key                       = @key attrs.secret_key_name
requestParams.name_arg                  = @path
requestParams.full_name_arg             = @path
requestParams.clusterId                 = @path
requestParams.credential_name           = attrs.credential_name
request_params.tokenId                  = @token attrs.token.id
request_params.tokenHash                = @hash attrs.token.hash
request_params.tokenExpirationTime      = attrs.token.expires fact.expires
request_params.authentication_method    = token_kind
request_params.targetUserName           = attrs.user.target.email fact.owner
request_params.path                     = @path
`,
	actions: `
*.generateDbToken               = credential +created type:personal_access_token own
*.createToken                   = credential +created type:personal_access_token own
*.createOboToken                = credential +created type:on_behalf_token
*.updateToken                   = credential +scope_changed type:personal_access_token
*.revokeDbToken                 = credential +revoked type:personal_access_token
*.deleteToken                   = credential +revoked type:personal_access_token
*.garbageCollectDbToken         = credential +expired type:personal_access_token
*.reachMaxQuotaDbToken          = credential
*.createServicePrincipalSecret  = credential +created type:service_principal_secret
*.deleteServicePrincipalSecret  = credential +revoked type:service_principal_secret
*.createOAuthSecret             = credential +created type:service_principal_secret
*.deleteOAuthSecret             = credential +revoked type:service_principal_secret
*.tokenLogin                    = auth
*.tokenAccess                   = auth
*.oidcTokenAuthorization        = auth
*.jwtLogin                      = auth
*.mfaLogin                      = auth
*.samlLogin                     = auth
*.oidcBrowserLogin              = auth
*.aadBrowserLogin               = auth
*.aadTokenLogin                 = auth
*.login                         = auth
*.logout                        = auth
*.IpAccessDenied                = auth denied error:authz
*.accountIpAccessDenied         = auth denied error:authz
*.deleteUser                    = admin +owner_left
*.deactivateUser                = admin +owner_left
*.delete*User                   = admin +owner_left
*.generateTemporary*Credential* = credential
secrets.*                       = credential
*.listSecrets                   = credential
*.getSecret                     = credential
*.putSecret                     = credential
*Secret*                        = credential
*Password*                      = credential
*Admin                          = admin
*Group*                         = admin
*Permission*                    = admin
*Acl*                           = admin
*Owner*                         = admin
*IpAccessList*                  = admin
*Settings                       = admin
workspaceConfEdit               = admin
*.workspaceConfEdit             = admin
*.grant*                        = admin
*.revoke*                       = admin
*.createUser                    = admin
*.add                           = admin
*.createServicePrincipal        = admin
*Share*                         = export
*.downloadPreviewResults        = export
*.downloadLargeResults          = export
*.downloadQueryResult           = export
*.download*                     = export
*.export*                       = export
*.get*                          = read
*.list*                         = list
*.search*                       = list
*.read*                         = read
*.delete*                       = delete
*.remove*                       = delete
*.uninstall*                    = delete
*.create*                       = write
*.update*                       = write
*.edit*                         = write
*.put*                          = write
*.install*                      = write
*.run*                          = write
*.submit*                       = write
*.execute*                      = write
*.start*                        = write
`,
	derive: func(p *auditParser) {
		row := p.row
		p.join(tokenwatch.ColAction, p.text("service"), []byte("."), p.text("action"))
		p.attr("event.action", p.text("action"))
		row.SetText(tokenwatch.ColService, p.text("service"))
		p.or(tokenwatch.ColIssuer, []byte("databricks"))
		switch {
		case p.text("scope") != nil:
			p.join(tokenwatch.ColResource, p.text("scope"), []byte("/"), p.text("key"))
		case p.text("path") != nil:
			row.SetText(tokenwatch.ColResource, p.text("path"))
		default:
			p.or(tokenwatch.ColResource, p.text("workspace"))
		}
		kind := "user"
		if !row.Has(tokenwatch.ColActor) { // somebody of the account
			kind = "account"
			row.SetText(tokenwatch.ColActor, p.text("account"))
			p.or(tokenwatch.ColActor, p.text("workspace"))
		} else if bytes.IndexByte(row.Text(tokenwatch.ColActor), '@') < 0 {
			kind = "service"
		}
		if row.Has(tokenwatch.ColActor) {
			p.set(tokenwatch.ColActorKind, kind)
		}
		// A login tells of the token it was made with, all else of one acted upon.
		login := bytes.HasSuffix(p.text("action"), []byte("ogin")) || bytes.HasSuffix(p.text("action"), []byte("ccess"))
		if v := p.text("token"); v != nil && login {
			row.AddName(tokenwatch.NameProviderID, "databricks", v)
		} else {
			p.hold(heldPart{part: factSubject, kind: tokenwatch.NameProviderID, issuer: "databricks", value: v})
		}
		if v := p.text("hash"); len(v) == 64 && isHex(v) {
			if login {
				row.AddName(tokenwatch.NameFullHash, "", v)
			} else {
				p.hold(heldPart{part: factSubject, kind: tokenwatch.NameFullHash, value: v})
			}
		} else if v != nil && login {
			row.AddName(tokenwatch.NameProviderID, "databricks_hash", v)
		} else {
			p.hold(heldPart{part: factSubject, kind: tokenwatch.NameProviderID, issuer: "databricks_hash", value: v})
		}
	},
}
