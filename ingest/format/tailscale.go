package format

import "github.com/tokenwatch/tokenwatch"

// tailscale is the configuration audit log of Tailscale, from its API and its log
// streams. The action is what was done and to what kind of thing.
var tailscale = product{
	name: "tailscale",
	marks: []string{
		`"eventGroupID"`,
		`"origin"|"action"`,
		`"actor"`,
		`"target"`,
	},
	under: []string{"event.", "logs."},
	fields: `
eventTime                = time
time                     = time?
fields.recorded          = time??
eventGroupID             = attrs.event_group
deferredAt               = drop
origin                   = attrs.origin
type                     = drop
action                   = @action
actor.loginName          = actor attrs.user.email
actor.displayName        = actor? attrs.user.full_name
actor.id                 = actor?? attrs.user.id
actor.type               = @actortype
actor.tags               = attrs.tags
target.id                = @target
target.name              = attrs.target.name @targetname
target.type              = @type attrs.target.type
target.property          = @property attrs.target.property
target.isEphemeral       = attrs.target.ephemeral
old                      = attrs.old
new                      = attrs.new
new.capabilities.devices.create.tags = attrs.new_tags fact.scope
new.scopes               = attrs.new_scopes fact.scope
new.expires              = attrs.new_expires fact.expires
new.expirySeconds        = attrs.new_expiry fact.ttl
new.description          = attrs.new_description fact.label
error                    = attrs.error.message @error
`,
	actions: `
CREATE API_KEY           = credential +created type:api_key own
UPDATE API_KEY           = credential +scope_changed type:api_key
DELETE API_KEY           = credential +revoked type:api_key
REVOKE API_KEY           = credential +revoked type:api_key
EXPIRE API_KEY           = credential +expired type:api_key
* API_KEY                = credential
* AUTH_KEY               = credential
* OAUTH_CLIENT           = credential
* KEY                    = credential
DELETE USER              = admin +owner_left
SUSPEND USER             = admin +owner_left
LOGIN *                  = auth
LOGOUT *                 = auth
* ACL                    = admin
* ACL_POLICY             = admin
* TAILNET                = admin
* USER                   = admin
* INVITE                 = admin
* WEBHOOK_ENDPOINT       = admin
* LOG_STREAMING*         = admin
* NODE_KEY               = credential
CREATE *                 = write
UPDATE *                 = write
DELETE *                 = delete
ENABLE *                 = admin
DISABLE *                = admin
ACCEPT *                 = admin
APPROVE *                = admin
SUSPEND *                = admin
RESTORE *                = admin
`,
	derive: func(p *auditParser) {
		action, target := p.text("action"), p.text("target")
		if action == nil {
			return
		}
		p.join(tokenwatch.ColAction, action, []byte(" "), p.text("type"))
		p.or(tokenwatch.ColResource, target)
		p.or(tokenwatch.ColIssuer, []byte("tailscale"))
		if string(p.text("type")) == "API_KEY" || string(p.text("type")) == "AUTH_KEY" || string(p.text("type")) == "OAUTH_CLIENT" {
			p.hold(heldPart{part: factSubject, kind: tokenwatch.NameProviderID, value: target})
			switch string(p.text("targetname")) { // keys of all kinds are API keys to the log
			case "Auth key":
				p.hold(heldPart{part: factType, value: []byte("auth_key")})
			case "OAuth client":
				p.hold(heldPart{part: factType, value: []byte("oauth_client")})
			}
		}
		if string(p.text("type")) == "USER" {
			p.hold(heldPart{part: factOwner, value: p.text("targetname")})
		}
		switch string(p.text("actortype")) {
		case "USER":
			p.set(tokenwatch.ColActorKind, "user")
		case "":
		default:
			p.set(tokenwatch.ColActorKind, "service")
		}
		if p.text("error") != nil {
			p.set(tokenwatch.ColOutcome, "failure")
			p.set(tokenwatch.ColError, "client")
		}
	},
}
