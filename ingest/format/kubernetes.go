package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// kubernetes is the audit log of API servers, bare (audit.k8s.io events), and as
// EKS, AKS and GKE ship it. The action is verb and resource. A service account's
// token is known by its id, a client certificate by its fingerprint, where the
// server notes them.
var kubernetes = product{
	name: "kubernetes",
	marks: []string{
		`:"audit.k8s.io/|: "audit.k8s.io/|"objectRef"|"requestReceivedTimestamp"|:"kube-audit|: "kube-audit|:"io.k8s.|: "io.k8s.|"kind":"Event"|"kind": "Event"`,
		`"verb"|"user"|"stage"|"auditID"|"log"|"methodName"|"sourceIPs"`,
	},
	under: []string{"message.", "log.", "data."},
	inner: "log",
	fields: `
stageTimestamp                = time
requestReceivedTimestamp      = time?
timestamp                     = time??
time                          = time???
p_event_time                  = time????
auditID                       = @id attrs.event.id
stage                         = @stage attrs.stage
level                         = drop
kind                          = drop
apiVersion                    = drop
verb                          = @verb
requestURI                    = url
user.username                 = actor
user.uid                      = attrs.user.id
user.groups                   = attrs.groups
user.extra.authentication.kubernetes.io/credential-id = @credential
user.extra.authentication.kubernetes.io/pod-name      = attrs.pod
user.extra.accessKeyId        = @key
user.extra.arn                = attrs.arn
user.extra.sessionName        = session
impersonatedUser.username     = attrs.user.effective.name
impersonatedUser.groups       = attrs.impersonated_groups
sourceIPs                     = src_ip
userAgent                     = user_agent
objectRef.resource            = @resource
objectRef.subresource         = @sub
objectRef.namespace           = @namespace attrs.namespace
objectRef.name                = @name
objectRef.apiGroup            = attrs.api_group
objectRef.apiVersion          = drop
responseStatus.code           = status
responseStatus.reason         = error
responseStatus.message        = attrs.error.message
responseStatus.status         = attrs.response_status
annotations.authorization.k8s.io/decision = @decision attrs.authorization_decision
annotations.authorization.k8s.io/reason   = attrs.authorization_reason
annotations.authentication.kubernetes.io/issued-credential-id = @issued
annotations.authentication.k8s.io/legacy-token = attrs.legacy_token
requestObject.spec.expirationSeconds      = attrs.expiration_seconds fact.ttl
requestObject.spec.audiences              = attrs.audiences
requestObject.type                        = attrs.secret_type
responseObject.status.token               = fact.secret
responseObject.status.expirationTimestamp = fact.expires
requestObject.data.*          = drop
operationName                 = attrs.operation
category                      = attrs.category
properties.log                = @log
properties.*                  = drop
resourceId                    = attrs.cluster
protoPayload.methodName       = @method
protoPayload.authenticationInfo.principalEmail = actor?
protoPayload.requestMetadata.callerIp          = src_ip?
protoPayload.requestMetadata.callerSuppliedUserAgent = user_agent?
protoPayload.resourceName     = @object
protoPayload.status.code      = @grpc
protoPayload.authorizationInfo.granted = @granted
`,
	actions: `
create serviceaccounts/token       = credential +created type:service_account_token
create tokenreviews                = auth
create tokenreviews.authentication.k8s.io = auth
create certificatesigningrequests* = credential
update certificatesigningrequests* = credential
patch certificatesigningrequests*  = credential
* secrets                          = credential
* pods/exec                        = admin
* pods/attach                      = admin
* pods/portforward                 = admin
* nodes/proxy                      = admin
create selfsubject*                = read
create subjectaccessreviews        = read
create localsubjectaccessreviews   = read
impersonate *                      = admin
escalate *                         = admin
bind *                             = admin
approve *                          = admin
get *                              = read
list *                             = list
watch *                            = read
create roles                       = admin
create *role*                      = admin
update *role*                      = admin
patch *role*                       = admin
delete *role*                      = admin
create serviceaccounts             = admin
delete serviceaccounts             = admin
* mutatingwebhookconfigurations    = admin
* validatingwebhookconfigurations  = admin
* networkpolicies                  = admin
create *                           = write
update *                           = write
patch *                            = write
delete *                           = delete
deletecollection *                 = delete
`,
	derive: func(p *auditParser) {
		row := p.row
		verb, resource := p.text("verb"), p.text("resource")
		if method := p.text("method"); verb == nil && method != nil { // io.k8s.core.v1.secrets.get
			i := bytes.LastIndexByte(method, '.')
			verb = method[i+1:]
			resource = method[:max(i, 0)]
			resource = resource[bytes.LastIndexByte(resource, '.')+1:]
			if !bytes.Equal(resource, bytes.ToLower(resource)) { // no resource: one end of a secret with dots would not be known for one
				verb, resource = method, nil
			}
			p.or(tokenwatch.ColResource, p.text("object"))
		}
		if verb == nil {
			verb = k8sVerb(row)
		}
		row.SetText(tokenwatch.ColAction, row.Build(func(b []byte) []byte {
			b = append(append(b, verb...), ' ')
			if resource == nil {
				return append(b, "api"...)
			}
			b = append(b, resource...)
			if sub := p.text("sub"); sub != nil {
				b = append(append(b, '/'), sub...)
			}
			return b
		}))
		if resource != nil && !row.Has(tokenwatch.ColResource) {
			row.SetText(tokenwatch.ColResource, p.line('/', p.text("namespace"), resource, p.text("name")))
		}
		if id := p.text("id"); id != nil { // each stage of a request is an event
			p.join(tokenwatch.ColRequestID, id, []byte(" "), p.text("stage"))
		}
		p.or(tokenwatch.ColService, []byte("kubernetes"))
		actor := row.Text(tokenwatch.ColActor)
		switch {
		case actor == nil:
		case string(actor) == "system:anonymous":
			p.set(tokenwatch.ColActorKind, "anonymous")
		case bytes.HasPrefix(actor, []byte("system:")):
			p.set(tokenwatch.ColActorKind, "service")
		default:
			p.set(tokenwatch.ColActorKind, "user")
		}
		if id := p.text("credential"); id != nil {
			if jti, ok := bytes.CutPrefix(id, []byte("JTI=")); ok {
				row.AddName(tokenwatch.NameJTI, "", jti)
			} else {
				row.AddName(tokenwatch.NameProviderID, "", id)
			}
		}
		if key := p.text("key"); key != nil && isAccessKey(key) {
			addAccessKey(row, key)
		}
		if id, ok := bytes.CutPrefix(p.text("issued"), []byte("JTI=")); ok {
			p.hold(heldPart{part: factSubject, kind: tokenwatch.NameJTI, value: id})
			p.hold(heldPart{part: factOwner, value: p.line(':', []byte("system:serviceaccount"), p.text("namespace"), p.text("name"))}) // its name as an actor
			p.hold(heldPart{part: factEnv, value: p.text("namespace")})
		}
		if string(p.text("stage")) == "RequestReceived" { // how it ends its later stage will tell
			p.set(tokenwatch.ColOutcome, "unknown")
		}
		if string(p.text("decision")) == "forbid" || string(p.text("granted")) == "false" {
			p.set(tokenwatch.ColOutcome, "denied")
		}
		if code := p.text("grpc"); code != nil && string(code) != "0" {
			p.or(tokenwatch.ColError, grpcCode(code))
		}
		if code := row.Int(tokenwatch.ColStatus); !row.Has(tokenwatch.ColStatus) {
			// No answer yet, or none was noted.
		} else if code < 100 { // a kind of google.rpc
			row.Clear(tokenwatch.ColStatus)
		} else if code < 400 {
			row.Clear(tokenwatch.ColError)
			p.or(tokenwatch.ColOutcome, []byte("success"))
		} else if code == 401 || code == 403 {
			p.or(tokenwatch.ColOutcome, []byte("denied"))
		} else {
			p.or(tokenwatch.ColOutcome, []byte("failure"))
		}
	},
}

// k8sVerb is the verb of a request whose record names none, by its method and path.
func k8sVerb(row *tokenwatch.Row) []byte {
	if row.Has(tokenwatch.ColPath) {
		return []byte("get")
	}
	return []byte("request")
}
