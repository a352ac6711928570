package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// cloudflareAudit is the audit log of Cloudflare accounts, from Logpush and from
// the API in its two versions, and the access requests of Zero Trust.
var cloudflareAudit = product{
	name: "cloudflare_audit",
	marks: []string{
		`"ActionType"|"AppUUID"|"when"|"cf_ray_id"`,
		`"ActorID"|"ActorEmail"|"AppDomain"|"interface"|"cf_ray_id"`,
		`"ResourceType"|"resource"|"RayID"`,
	},
	fields: `
When                       = time
when                       = time
action.time                = time
CreatedAt                  = time
ID                         = request_id
id                         = request_id
RayID                      = request_id?
raw.cf_ray_id              = attrs.ray_id
ActionType                 = action
action.type                = action
action.description         = attrs.message
Action                     = action?
ActionResult               = outcome
action.result              = outcome
Allowed                    = outcome
ActorEmail                 = actor attrs.user.email
actor.email                = actor attrs.user.email
Email                      = actor attrs.user.email
ActorID                    = actor? attrs.user.id
actor.id                   = actor? attrs.user.id
UserUID                    = actor? attrs.user.id
ActorIP                    = src_ip
actor.ip                   = src_ip
actor.ip_address           = src_ip
IPAddress                  = src_ip
ActorType                  = @actortype
actor.type                 = @actortype
actor.context              = attrs.context
actor.token_id             = name:provider_id@cloudflare
actor.token_name           = attrs.token_name
Interface                  = attrs.event.provider
interface                  = attrs.event.provider
OwnerID                    = attrs.owner.id
owner.id                   = attrs.owner.id
account.id                 = attrs.organization.id
account.name               = attrs.organization.name
ResourceType               = @type attrs.resource.type
ResourceID                 = resource
resource.type              = @type attrs.resource.type
resource.id                = resource
resource.product           = service
raw.method                 = attrs.http.request.method
raw.uri                    = attrs.url.path
raw.status_code            = status
raw.user_agent             = user_agent
Metadata.token_name        = attrs.token.name fact.label
Metadata.token_tag         = attrs.token.id fact.subject:provider_id@cloudflare
metadata.token_name        = attrs.token.name fact.label
metadata.token_tag         = attrs.token.id fact.subject:provider_id@cloudflare
Metadata.service_token_id  = attrs.token.id fact.subject:provider_id@cloudflare
NewValue.expires_on        = attrs.expires_on fact.expires
newValueJson.expires_on    = attrs.expires_on fact.expires
AppDomain                  = attrs.url.domain host
AppUUID                    = resource
Connection                 = attrs.connection
Country                    = src_country
`,
	actions: `
token_create               = credential +created type:api_token own
token_roll                 = credential +rotated type:api_token
token_update               = credential +scope_changed type:api_token
token_delete               = credential +revoked type:api_token
token_revoke               = credential +revoked type:api_token
token_disable              = credential +disabled type:api_token
service_token_create       = credential +created type:service_token
service_token_delete       = credential +revoked type:service_token
service_token_rotate       = credential +rotated type:service_token
*token*                    = credential
*API_key*                  = credential
*api_key*                  = credential
rotate_API_key             = credential
API_key_view               = credential
API_key_created            = credential
*cert*                     = credential
login                      = auth
logout                     = auth
*login*                    = auth
*password*                 = credential
*2fa*                      = credential
*member*                   = admin
*role*                     = admin
*policy*                   = admin
*firewall*                 = admin
*waf*                      = admin
*setting*                  = admin
*purge*                    = write
view                       = read
list                       = list
*delete*                   = delete
*remove*                   = delete
*add*                      = write
*create*                   = write
*update*                   = write
*change*                   = write
`,
	derive: func(p *auditParser) {
		p.or(tokenwatch.ColIssuer, []byte("cloudflare"))
		if !p.row.Has(tokenwatch.ColActor) {
			return
		}
		kind := "user"
		switch t := bytes.ToLower(p.text("actortype")); string(t) {
		case "", "user", "account", "cloudflare_admin":
		default:
			kind = "service"
		}
		p.set(tokenwatch.ColActorKind, kind)
	},
}
