package format

import (
	"github.com/tokenwatch/tokenwatch"
)

// microsoft365 is the unified audit log of Microsoft 365: records of the
// Management Activity API, and the AuditData of exports.
var microsoft365 = product{
	name:  "microsoft365",
	marks: []string{`"Operation"`, `"Workload"|"RecordType"|"UserType"`, `"CreationTime"|"UserId"|"OrganizationId"`},
	under: []string{"o365audit.", "AuditData."},
	inner: "auditdata",
	fields: `
CreationTime                     = time
CreationDate                     = time?
Id                               = request_id
Identity                         = request_id?
AuditData                        = @auditdata
event.original                   = drop
Operation                        = action
Operations                       = action?
RecordType                       = attrs.record_type
Workload                         = service attrs.event.provider
OrganizationId                   = attrs.organization.id
OrganizationName                 = attrs.organization.domain
UserId                           = actor
UserIds                          = actor?
UserKey                          = actor? attrs.user_key
UserType                         = @usertype attrs.user_type
ClientIP                         = @ip
ClientIPAddress                  = @ip2
ActorIpAddress                   = @ip3
UserAgent                        = user_agent
ResultStatus                     = @result attrs.result_status
ResultStatusDetail               = attrs.result_detail
LogonError                       = error
ErrorNumber                      = @errornumber
ObjectId                         = resource @object
ApplicationId                    = attrs.app_id
AppId                            = attrs.app_id
ClientAppId                      = attrs.client_app_id
AppAccessContext.AADSessionId    = session
AppAccessContext.UniqueTokenId   = name:jti@azure
AppAccessContext.ClientAppId     = attrs.client_app_id
AppAccessContext.APIId           = attrs.api_id
DeviceProperties.Name            = key
DeviceProperties.Value           = value
DeviceProperties[SessionId]      = session?
SiteUrl                          = attrs.site
SharePointMetaData.FilePathUrl   = attrs.url.original
SourceFileName                   = attrs.file.name
TargetUserOrGroupName            = attrs.user.target.name
GroupName                        = attrs.group.name
TeamName                         = attrs.group.name
MailboxOwnerUPN                  = attrs.mailbox
Actor.ID                         = attrs.actor.id
Actor.Type                       = drop
Target.ID                        = attrs.target.id
Target.Type                      = drop
ExtendedProperties.Name          = key
ExtendedProperties.Value         = value
ExtendedProperties[UserAgent]    = user_agent
ExtendedProperties[additionalDetails] = @details attrs.additional_details
ExtendedProperties[RequestType]  = attrs.request_type
ExtendedProperties[ResultStatusDetail] = attrs.result_detail
ExtendedProperties[resultType]   = attrs.result_type
ModifiedProperties.Name          = key
ModifiedProperties.NewValue      = value
ModifiedProperties.OldValue      = drop
ModifiedProperties[KeyDescription] = @newkeys attrs.key_description
ModifiedProperties[ConsentAction.Permissions] = attrs.consent fact.scope
Parameters.Name                  = key
Parameters.Value                 = value
`,
	outcomes: `
Succeeded          = success
Success            = success
PartiallySucceeded = success
True               = success
Failed             = failure
Failure            = failure
False              = failure
`,
	actions: `
Add service principal credentials.      = credential +created type:app_secret
Update application – Certificates and secrets management * = credential +created type:app_secret
Update application - Certificates and secrets management * = credential +created type:app_secret
Remove service principal credentials.   = credential +revoked type:app_secret
Consent to application.                 = credential
Add OAuth2PermissionGrant.              = credential
Remove OAuth2PermissionGrant.           = credential
Add delegated permission grant.         = credential
Add app role assignment*                = credential
Remove app role assignment*             = credential
Delete user.                            = admin +owner_left
Disable account.                        = admin +owner_left
*password*                              = credential
UserLoggedIn                            = auth
UserLoginFailed                         = auth failure error:authn
UserStrongAuthClientAuthNRequired       = auth
TeamsSessionStarted                     = auth
MailboxLogin                            = auth
SignInEvent                             = auth
*Role*                                  = admin
*role*                                  = admin
*Policy*                                = admin
*policy*                                = admin
*owner*                                 = admin
*Rule                                   = admin
*InboxRule*                             = admin
*TransportRule*                         = admin
*MailboxPermission*                     = admin
*member*                                = admin
*Member*                                = admin
Set-*                                   = admin
New-*                                   = admin
Enable-*                                = admin
Disable-*                               = admin
Install-*                               = admin
Remove-*                                = admin
Add-*                                   = admin
Get-*                                   = read
FileAccessed*                           = read
FilePreviewed                           = read
FileDownloaded                          = export
FileSyncDownloaded*                     = export
*Download*                              = export
*Export*                                = export
AnonymousLink*                          = export
SharingSet                              = admin
*Sharing*                               = admin
*SecureLink*                            = admin
*CompanyLink*                           = admin
File*Deleted                            = delete
File*Recycled                           = delete
*Delete*                                = delete
File*                                   = write
MailItemsAccessed                       = read
Send*                                   = write
Search*                                 = list
*Viewed*                                = read
*View*                                  = read
PageViewed                              = read
Update *                                = write
Add *                                   = write
Create*                                 = write
Set *                                   = write
*Created                                = write
*Updated                                = write
*Modified                               = write
*Added                                  = write
*Removed                                = delete
`,
	derive: func(p *auditParser) {
		row := p.row
		for _, name := range []string{"ip2", "ip", "ip3"} {
			v := p.text(name)
			if v == nil || row.Has(tokenwatch.ColSrcIP) {
				continue
			}
			if a, port, ok := address(v); ok {
				row.SetAddr(a)
				if port > 0 {
					row.SetInt(tokenwatch.ColSrcPort, port)
				}
			} else {
				p.attr("client", v)
			}
		}
		if ua := between(p.text("details"), `"User-Agent":"`, `"`); ua != nil {
			p.or(tokenwatch.ColUserAgent, ua)
		}
		user := row.Text(tokenwatch.ColActor)
		kind := "user"
		switch string(p.text("usertype")) {
		case "1", "2", "DcAdmin", "Admin":
			kind = "user"
		case "3", "4", "5", "6", "System", "Application", "ServicePrincipal", "CustomPolicy", "SystemPolicy":
			kind = "service"
		}
		if user != nil {
			p.set(tokenwatch.ColActorKind, kind)
		}
		p.or(tokenwatch.ColIssuer, []byte("microsoft"))
		if v := p.text("result"); v != nil {
			if o := p.t.outcomes[string(v)]; o != "" {
				p.set(tokenwatch.ColOutcome, o)
			}
		}
		object := p.text("object")
		p.secretKeys(p.text("newkeys"))
		p.hold(heldPart{part: factOwner, value: object})
	},
	finish: func(p *auditParser) {
		if m := p.meaning(p.row.Text(tokenwatch.ColAction)); m != nil && m.fact != tokenwatch.FactOwnerLeft {
			p.parts = withoutPart(p.parts, factOwner) // the object is the owner only where it is a user
		}
	},
}

// withoutPart leaves a part of facts out.
func withoutPart(parts []heldPart, out factPart) []heldPart {
	rest := parts[:0]
	for _, h := range parts {
		if h.part != out {
			rest = append(rest, h)
		}
	}
	return rest
}
