package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// gcpAudit is Google Cloud's audit logs as log entries: admin activity, data
// access, policy denied, system events. A call made with a service account's key
// is known by the key's id, one by impersonation by whoever impersonated.
var gcpAudit = product{
	name:  "gcp_audit",
	marks: []string{`"protoPayload"|"proto_payload"`, `"methodName"|"authenticationInfo"|"serviceName"|"google.cloud.audit.AuditLog"`},
	under: []string{"data.", "message.data."},
	fields: `
timestamp                                                  = time
receiveTimestamp                                           = time?
insertId                                                   = request_id
logName                                                    = @log
severity                                                   = attrs.log.level
resource.type                                              = attrs.resource.type
resource.labels.project_id                                 = @project attrs.cloud.project.id
resource.labels.location                                   = region?
protoPayload.resourceLocation.currentLocations             = region
protoPayload.serviceName                                   = service
protoPayload.methodName                                    = action
protoPayload.resourceName                                  = resource
protoPayload.metadata.methodName                           = action
protoPayload.metadata.resourceName                         = resource
protoPayload.metadata.serviceName                          = service
protoPayload.metadata.requestMetadata.callerIp             = @ip
protoPayload.metadata.requestMetadata.callerSuppliedUserAgent = user_agent
operation.producer                                         = attrs.producer
operation.id                                               = attrs.operation.id
protoPayload.authenticationInfo.principalEmail             = actor attrs.client.user.email
protoPayload.authenticationInfo.principalSubject           = actor? attrs.client.user.id
protoPayload.authenticationInfo.serviceAccountKeyName      = @key attrs.service_account_key
protoPayload.authenticationInfo.serviceAccountDelegationInfo.firstPartyPrincipal.principalEmail = attrs.delegated_by
protoPayload.authenticationInfo.serviceAccountDelegationInfo.principalSubject = attrs.delegated_by
protoPayload.authenticationInfo.oauthInfo.oauthClientId    = attrs.oauth_client_id
protoPayload.authenticationInfo.authoritySelector          = issuer
protoPayload.authorizationInfo.granted                     = @granted attrs.authorization_granted
protoPayload.authorizationInfo.permission                  = scope @permission
authorizationInfo.permission                               = scope? @permission
protoPayload.requestMetadata.callerIp                      = @ip
protoPayload.requestMetadata.callerSuppliedUserAgent       = user_agent
protoPayload.requestMetadata.requestAttributes.time        = time??
protoPayload.status.code                                   = @code
protoPayload.status.message                                = attrs.error.message
protoPayload.response.keyType                              = attrs.key_type
protoPayload.response.name                                 = @made attrs.response.name
protoPayload.response.validBeforeTime.seconds              = attrs.valid_before fact.expires
protoPayload.response.validBeforeTime                      = attrs.valid_before fact.expires
protoPayload.response.privateKeyData                       = secret:private_key
protoPayload.request.name                                  = @asked attrs.request.name
protoPayload.request.key.displayName                       = attrs.key_name fact.label
protoPayload.response.keyString                            = fact.secret
protoPayload.response.uid                                  = attrs.response.uid
protoPayload.metadata.event.parameter.value                = attrs.parameter
`,
	outcomes: `
0 = success
7 = denied
16 = denied
`,
	actions: `
*.CreateServiceAccountKey       = credential +created type:service_account_key
*.UploadServiceAccountKey       = credential +created type:service_account_key
*.DeleteServiceAccountKey       = credential +revoked type:service_account_key
*.DisableServiceAccountKey      = credential +disabled type:service_account_key
*.EnableServiceAccountKey       = credential +enabled type:service_account_key
*.ApiKeys.CreateKey             = credential +created type:api_key
*.ApiKeys.UpdateKey             = credential +scope_changed type:api_key
*.ApiKeys.DeleteKey             = credential +revoked type:api_key
*.ApiKeys.UndeleteKey           = credential +enabled type:api_key
*.ApiKeys.GetKeyString          = credential
*.ApiKeys.*                     = credential
*HmacKeys.create                = credential +created type:hmac_key
*hmacKeys.create                = credential +created type:hmac_key
*hmacKeys.delete                = credential +revoked type:hmac_key
*GenerateAccessToken            = credential
*GenerateIdToken                = credential
*SignBlob                       = credential
*SignJwt                        = credential
*AccessSecretVersion            = credential
*ExchangeToken                  = credential
*.DestroySecretVersion          = credential
*.DisableSecretVersion          = credential
*.EnableSecretVersion           = credential
*.DeleteSecret                  = credential
*WorkloadIdentityPool*          = admin
*.AddSecretVersion              = credential
*.CreateSecret                  = credential
*ServiceAccountKey*             = credential
*.CreateServiceAccount          = admin
*.DeleteServiceAccount          = admin
*SetIamPolicy                   = admin
*setIamPolicy                   = admin
*SetOrgPolicy                   = admin
*.CreateRole                    = admin
*.UpdateRole                    = admin
*.DeleteRole                    = admin
*Sink                           = admin
*UpdateBucket                   = admin
*CreateInviteLink               = admin
google.login.*                  = auth
storage.objects.get             = read
storage.objects.list            = list
storage.buckets.list            = list
*.get                           = read
*.list                          = list
*.create                        = write
*.update                        = write
*.patch                         = write
*.delete                        = delete
*.watch                         = read
*.export*                       = export
*snapshots*                     = export
`,
	derive: func(p *auditParser) {
		row := p.row
		p.or(tokenwatch.ColIssuer, []byte("google"))
		p.or(tokenwatch.ColAction, p.text("permission")) // all that some records tell
		if ip := p.text("ip"); ip != nil {
			if a, _, ok := address(ip); ok {
				row.SetAddr(a)
			} else { // private, gce-internal-ip
				p.attr("caller", ip)
				p.set(tokenwatch.ColSrcCloud, "service")
			}
		}
		actor := row.Text(tokenwatch.ColActor)
		switch {
		case actor == nil:
			// Google leaves the caller out of some records: somebody of the project.
			if project := between(row.Text(tokenwatch.ColResource), "projects/", "/"); project != nil && p.text("project") == nil {
				row.SetText(tokenwatch.ColActor, project)
				p.set(tokenwatch.ColActorKind, "account")
			}
			if p.text("project") != nil {
				p.row.SetText(tokenwatch.ColActor, p.text("project"))
				p.set(tokenwatch.ColActorKind, "account")
			}
		case bytes.HasSuffix(actor, []byte(".gserviceaccount.com")), bytes.HasPrefix(actor, []byte("system:")):
			p.set(tokenwatch.ColActorKind, "service")
		default:
			p.set(tokenwatch.ColActorKind, "user")
		}
		if key := p.text("key"); key != nil {
			row.AddName(tokenwatch.NameProviderID, "", lastSegment(key))
			p.set(tokenwatch.ColTokenKind, "service_account_key")
		}
		made := p.text("made")
		if made == nil {
			made = p.text("asked")
		}
		if made == nil {
			made = row.Text(tokenwatch.ColResource)
		}
		if bytes.Contains(made, []byte("/keys/")) {
			p.hold(heldPart{part: factSubject, kind: tokenwatch.NameProviderID, value: lastSegment(made)})
			if account := between(made, "/serviceAccounts/", "/"); account != nil {
				p.hold(heldPart{part: factOwner, value: account})
			}
		}
		switch code := p.text("code"); {
		case code != nil:
			p.or(tokenwatch.ColOutcome, code)
			if string(code) != "0" {
				p.or(tokenwatch.ColError, grpcCode(code))
			}
		case string(p.text("granted")) == "false":
			p.set(tokenwatch.ColOutcome, "denied")
			p.set(tokenwatch.ColError, "authz")
		}
		if log := p.text("log"); log != nil {
			if project := between(log, "projects/", "/"); !row.Has(tokenwatch.ColActor) && project != nil {
				row.SetText(tokenwatch.ColActor, project)
				p.set(tokenwatch.ColActorKind, "account")
			}
			name := lastSegment(log)
			p.attr("log.name", log)
			if _, kind, ok := bytes.Cut(name, []byte("%2F")); ok {
				p.attr("event.provider", kind)
			}
		}
	},
	finish: func(p *auditParser) {
		if o := p.row.Text(tokenwatch.ColOutcome); o != nil && o[0] >= '0' && o[0] <= '9' {
			p.set(tokenwatch.ColOutcome, "failure")
		}
	},
}

// grpcCode names a status code of google.rpc.
func grpcCode(code []byte) []byte {
	names := [...]string{
		"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
		"FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
	}
	if n, ok := digits(code); ok && n < int64(len(names)) {
		return []byte(names[n])
	}
	return code
}

// lastSegment returns what follows the last slash.
func lastSegment(v []byte) []byte { return v[bytes.LastIndexByte(v, '/')+1:] }

// between returns what stands between two texts, the latter of which may be
// missing; nil without the former.
func between(v []byte, before, behind string) []byte {
	_, rest, ok := bytes.Cut(v, []byte(before))
	if !ok {
		return nil
	}
	rest, _, _ = bytes.Cut(rest, []byte(behind))
	return rest
}
