package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// azure is what Azure Monitor ships: activity logs of subscriptions, and the
// directory's audit, sign-in, provisioning and risk logs. The token of a sign-in
// is known by its unique token identifier, that of an activity by its claims. The
// tables of Log Analytics export their dynamic columns as JSON within a text.
var azure = product{
	name: "azure",
	marks: []string{
		`"operationName"|"operationNameValue"|"activityDisplayName"`,
		`"resourceId"|"callerIpAddress"|"operationVersion"|"initiatedBy"`,
		`"category"|"categoryValue"`,
		`"properties"|"uri"|"tenantId"|"identity"|"resultType"|"resultSignature"|"initiatedBy"|"operationVersion"`,
	},
	fields: `
time                                        = time
TimeGenerated                               = time?
createdDateTime                             = time?
eventTimestamp                              = time?
activityDateTime                            = time?
properties.activityDateTime                 = time??
properties.createdDateTime                  = time??
operationName                               = action?
operationName.value                         = action
operationNameValue                          = action
activityDisplayName                         = action??
category                                    = @category attrs.category
category.value                              = @category attrs.category
categoryValue                               = @category attrs.category
resourceId                                  = resource
tenantId                                    = @tenant attrs.organization.id
correlationId                               = attrs.correlation_id
properties.ipAddress                        = src_ip
ipAddress                                   = src_ip
callerIpAddress                             = src_ip?
properties.initiatedBy.user.ipAddress       = src_ip???
initiatedBy.user.ipAddress                  = src_ip??
properties.clientIpAddress                  = src_ip?
location                                    = region
identity                                    = @identity
caller                                      = actor??
durationMs                                  = duration:1e6
resultType                                  = @resulttype attrs.result_type
resultSignature                             = @signature attrs.result_signature
resultDescription                           = attrs.error.message
status                                      = json
status.value                                = @resulttype
activityStatusValue                         = @resulttype
uri                                         = url
protocol                                    = attrs.protocol
statusCode                                  = status
statusText                                  = @statustext
identity.type                               = token_kind
identity.tokenHash                          = name:provider_id@azure_storage
identity.requester.upn                      = actor @upn
identity.requester.objectId                 = actor??? attrs.user.id
identity.requester.appId                    = @appid attrs.app_id
properties.accountName                      = @account
properties.objectKey                        = resource
properties.userAgentHeader                  = user_agent
properties.requestBodySize                  = bytes_in
properties.responseBodySize                 = bytes_out
identity.claims.appid                       = @appid attrs.app_id
identity.claims.uti                         = name:jti@azure
identity.claims.name                        = attrs.user.full_name
identity.claims.ipaddr                      = src_ip??
identity.claims.http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn  = actor? @upn
identity.claims.http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name = actor??
identity.claims.http://schemas.microsoft.com/identity/claims/objectidentifier = actor??? attrs.user.id
identity.claims.xms_mirid                   = attrs.managed_identity
identity.authorization.scope                = attrs.authorization.scope
identity.authorization.action               = scope
identity.authorization.evidence.role        = attrs.role
identity.authorization.evidence.principalId = attrs.principal_id
claims                                      = json
authorization                               = json
claims.appid                                = @appid attrs.app_id
claims.uti                                  = name:jti@azure
claims.name                                 = attrs.user.full_name
claims.ipaddr                               = src_ip??
claims.http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn = actor? @upn
claims.http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name = actor??
claims.http://schemas.microsoft.com/identity/claims/objectidentifier = actor??? attrs.user.id
claims.xms_mirid                            = attrs.managed_identity
authorization.scope                         = attrs.authorization.scope
authorization.action                        = scope
authorization.evidence.role                 = attrs.role
authorization.evidence.principalId          = attrs.principal_id
properties                                  = json
properties.id                               = request_id
id                                          = request_id?
properties.eventDataId                      = request_id?
eventDataId                                 = request_id?
properties.result                           = outcome
result                                      = outcome
properties.resultReason                     = attrs.error.message
properties.status.errorCode                 = @errorcode
status.errorCode                            = @errorcode
properties.status.failureReason             = attrs.error.message
properties.statusCode                       = @statuscode
properties.provisioningStatusInfo.status    = outcome
properties.userPrincipalName                = actor @upn attrs.user.email
userPrincipalName                           = actor @upn attrs.user.email
properties.userDisplayName                  = actor?? attrs.user.full_name
userDisplayName                             = actor?? attrs.user.full_name
properties.userId                           = actor??? attrs.user.id
userId                                      = actor??? attrs.user.id
properties.servicePrincipalName             = actor? @service
properties.servicePrincipalId               = actor??? attrs.service_principal_id
properties.servicePrincipalCredentialKeyId  = name:provider_id
properties.servicePrincipalCredentialThumbprint = attrs.credential_thumbprint
properties.uniqueTokenIdentifier            = name:jti@azure
uniqueTokenIdentifier                       = name:jti@azure
properties.incomingTokenType                = token_kind
properties.sessionId                        = session
properties.appId                            = actor???? attrs.app_id
properties.appDisplayName                   = actor??? attrs.app_name
appDisplayName                              = attrs.app_name
properties.resourceDisplayName              = service
properties.clientAppUsed                    = attrs.client_app
properties.userAgent                        = user_agent
userAgent                                   = user_agent
properties.initiatedBy                      = json
initiatedBy                                 = json
properties.initiatedBy.user.userPrincipalName = actor @upn attrs.user.email
properties.initiatedBy.user.id              = actor??? attrs.user.id
properties.initiatedBy.app.displayName      = actor? @service
properties.initiatedBy.app.servicePrincipalId = attrs.service_principal_id
properties.initiatedBy.app.appId            = attrs.app_id
initiatedBy.user.userPrincipalName          = actor @upn attrs.user.email
initiatedBy.user.id                         = actor??? attrs.user.id
initiatedBy.app.displayName                 = actor? @service
initiatedBy.app.servicePrincipalId          = attrs.service_principal_id
initiatedBy.app.appId                       = attrs.app_id
properties.targetResources                  = json
targetResources                             = json
properties.targetResources.id               = @target
properties.targetResources.displayName      = attrs.target.name fact.app
properties.targetResources.userPrincipalName = attrs.user.target.email fact.owner
properties.targetResources.type             = attrs.target.type
targetResources.id                          = @target
targetResources.displayName                 = attrs.target.name fact.app
targetResources.userPrincipalName           = attrs.user.target.email fact.owner
targetResources.type                        = attrs.target.type
properties.targetResources.modifiedProperties.displayName = key
properties.targetResources.modifiedProperties.newValue    = value
properties.targetResources.modifiedProperties[KeyDescription] = @newkeys attrs.key_description
targetResources.modifiedProperties.displayName = key
targetResources.modifiedProperties.newValue = value
targetResources.modifiedProperties[KeyDescription] = @newkeys attrs.key_description
properties.additionalDetails                = json
additionalDetails                           = json
properties.additionalDetails.key            = key
properties.additionalDetails.value          = value
properties.additionalDetails[User-Agent]    = user_agent
additionalDetails.key                       = key
additionalDetails.value                     = value
additionalDetails[User-Agent]               = user_agent
`,
	outcomes: `
Success     = success
success     = success
Succeeded   = success
Start       = success
Started     = success
Accept      = success
Accepted    = success
Updated     = success
Active      = success
Resolved    = success
skipped     = success
Failure     = failure
failure     = failure
Failed      = failure
clientError = failure
timeout     = failure
unknownFutureValue = unknown
`,
	actions: `
Add service principal credentials*           = credential +created type:app_secret
Update application – Certificates and secrets management = credential +created type:app_secret
Update application - Certificates and secrets management = credential +created type:app_secret
Remove service principal credentials*        = credential +revoked type:app_secret
Add application                              = admin
Add service principal                        = admin
Delete application                           = admin
Hard Delete application                      = admin
Consent to application                       = credential
Add delegated permission grant               = credential +scope_changed
Remove delegated permission grant            = credential +scope_changed
Add app role assignment to service principal = credential +scope_changed
Remove app role assignment from service principal = credential +scope_changed
Add owner to application                     = admin
Add owner to service principal               = admin
Delete user                                  = admin +owner_left
Hard delete user                             = admin +owner_left
Disable account                              = admin +owner_left
Update StsRefreshTokenValidFrom Timestamp    = credential
Set federation settings on domain            = admin
Set domain authentication                    = admin
Consent to application*                      = credential
*password*                                   = credential
*StrongAuthentication*                       = credential
*security info*                              = credential
*Temporary Access Pass*                      = credential
Sign-in activity                             = auth
*sign-in*                                    = auth
*logon*                                      = auth
User Risk Detection                          = auth
*/listKeys/action                            = credential
*/LISTKEYS/ACTION                            = credential
*/listkeys/action                            = credential
*/regenerateKey*/action                      = credential
*/REGENERATEKEY*/ACTION                      = credential
*/listAccountSas/action                      = credential
*/listServiceSas/action                      = credential
*/listCredentials/action                     = credential
*/listClusterAdminCredential/action          = credential
*/listClusterUserCredential/action           = credential
*/publishxml/action                          = credential
*/vaults/secrets/*                           = credential
*/VAULTS/SECRETS/*                           = credential
SecretGet                                    = credential
SecretList                                   = credential
KeyGet                                       = credential
*Microsoft.Authorization/*                   = admin
*MICROSOFT.AUTHORIZATION/*                   = admin
*/diagnosticSettings/*                       = admin
*/DIAGNOSTICSETTINGS/*                       = admin
*/beginGetAccess/action                      = export
*/BEGINGETACCESS/ACTION                      = export
*/exportTemplate/action                      = export
*/backup*/action                             = export
*/write                                      = write
*/WRITE                                      = write
*/delete                                     = delete
*/DELETE                                     = delete
*/read                                       = read
*/READ                                       = read
*/action                                     = write
*/ACTION                                     = write
*role*                                       = admin
*policy*                                     = admin
*Policy*                                     = admin
*owner*                                      = admin
Delete *                                     = delete
Remove *                                     = delete
Add *                                        = write
Update *                                     = write
Set *                                        = write
Provisioning activity                        = write
`,
	derive: func(p *auditParser) {
		row := p.row
		row.SetText(tokenwatch.ColAction, bytes.TrimRight(row.Text(tokenwatch.ColAction), " ")) // as the directory writes some
		p.or(tokenwatch.ColActor, p.text("identity"))
		p.or(tokenwatch.ColActor, p.text("appid"))
		if !row.Has(tokenwatch.ColActor) { // somebody of the tenant, or of the subscription
			p.or(tokenwatch.ColActor, p.text("account"))
			p.or(tokenwatch.ColActor, p.text("tenant"))
			p.or(tokenwatch.ColActor, between(bytes.ToLower(row.Text(tokenwatch.ColResource)), "/subscriptions/", "/"))
			if row.Has(tokenwatch.ColActor) {
				p.set(tokenwatch.ColActorKind, "account")
			}
		}
		if row.Has(tokenwatch.ColActor) && !row.Has(tokenwatch.ColActorKind) {
			kind := "user"
			if p.text("upn") == nil && (p.text("service") != nil || p.text("appid") != nil) {
				kind = "service"
			}
			p.set(tokenwatch.ColActorKind, kind)
		}
		p.or(tokenwatch.ColIssuer, []byte("azure"))
		category := p.text("category")
		if target := p.text("target"); target != nil {
			p.set(tokenwatch.ColResource, string(target))
		}
		p.secretKeys(p.text("newkeys"))
		if code := p.text("errorcode"); code != nil {
			p.signIn(code)
		} else if code := p.text("resulttype"); bytes.HasSuffix(category, []byte("SignInLogs")) && code != nil {
			p.signIn(code)
		}
		if !row.Has(tokenwatch.ColOutcome) {
			row.SetText(tokenwatch.ColOutcome, p.text("resulttype"))
		}
		switch kind, _, _ := bytes.Cut(p.text("signature"), []byte(".")); string(kind) {
		case "Forbidden":
			p.set(tokenwatch.ColOutcome, "denied")
			p.or(tokenwatch.ColError, []byte("authz"))
		case "Unauthorized":
			p.set(tokenwatch.ColOutcome, "denied")
			p.or(tokenwatch.ColError, []byte("authn"))
		}
		if code, ok := digits(p.text("signature")); ok && code >= 400 && code < 600 { // a status
			p.or(tokenwatch.ColError, p.text("signature"))
			if code == 401 || code == 403 {
				p.set(tokenwatch.ColOutcome, "denied")
			}
		}
		if status := row.Int(tokenwatch.ColStatus); status >= 400 {
			p.or(tokenwatch.ColError, p.text("statustext"))
		}
		switch status := p.text("statuscode"); string(status) {
		case "Unauthorized", "Forbidden":
			p.set(tokenwatch.ColOutcome, "denied")
			p.or(tokenwatch.ColError, status)
		}
	},
	finish: func(p *auditParser) {
		if o := p.row.Text(tokenwatch.ColOutcome); o != nil && !isOutcome(o) {
			p.attr("result", o)
			p.set(tokenwatch.ColOutcome, "success")
		}
	},
}

// isOutcome tells whether v is an outcome or a word normalize makes one of.
func isOutcome(v []byte) bool {
	switch string(bytes.ToLower(v[:min(len(v), 16)])) {
	case "success", "failure", "denied", "unknown", "succeeded", "failed", "fail", "error", "ok", "true", "false", "allow", "allowed", "deny", "blocked":
		return true
	}
	return false
}

// signIn fills what a sign-in's error code tells: 0 is success.
func (p *auditParser) signIn(code []byte) {
	switch string(code) {
	case "0":
		p.set(tokenwatch.ColOutcome, "success")
	case "50140", "50074", "50076", "50079", "50055", "50058", "16000", "16001", "65001", "50125", "50127", "50129", "50143", "50144", "50072":
		p.set(tokenwatch.ColOutcome, "failure") // interrupted: more is asked of the user
		p.row.SetText(tokenwatch.ColError, code)
	default:
		if _, ok := digits(code); ok {
			p.set(tokenwatch.ColOutcome, "denied")
			p.row.SetText(tokenwatch.ColError, code)
		}
	}
}

// secretKeys reads a KeyDescription, the list of all secrets an application then
// has: "[\"[KeyIdentifier=…,KeyType=Password,KeyUsage=Verify,DisplayName=ci]\"]".
// The last is the one just made.
func (p *auditParser) secretKeys(list []byte) {
	i := bytes.LastIndex(list, []byte("KeyIdentifier="))
	if i < 0 {
		return
	}
	list = list[i:]
	p.hold(heldPart{part: factSubject, kind: tokenwatch.NameProviderID, value: between(list, "KeyIdentifier=", ",")})
	if name := between(list, "DisplayName=", "]"); name != nil {
		p.hold(heldPart{part: factLabel, value: bytes.TrimRight(name, `\"`)})
	}
}
