package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// vault is the audit log of HashiCorp Vault and OpenBao. It hashes tokens and
// accessors with a key of its own (hmac-sha256:…); such a name stands for its
// token as long as the audit device lives, and is no hash that others know.
var vault = product{
	name: "vault",
	marks: []string{
		`"request"`,
		`"operation"`,
		`"client_token"|"mount_type"|"mount_point"|"client_token_accessor"`,
		`"path"`,
		`"type"`,
	},
	under: []string{"hashicorp_vault.audit."},
	fields: `
time                                  = time
type                                  = @type attrs.type
error                                 = @error attrs.error.message
auth.client_token                     = @token
auth.accessor                         = @accessor
auth.display_name                     = actor attrs.display_name
auth.entity_id                        = actor?? attrs.entity_id
auth.metadata.email                   = attrs.user.email
auth.metadata.account_id              = attrs.user.id
auth.metadata.role                    = attrs.role
auth.metadata.role_name               = attrs.role
auth.metadata.username                = actor?
auth.policies                         = attrs.policies
auth.token_policies                   = scope
auth.token_type                       = token_kind
auth.token_ttl                        = attrs.token_ttl
auth.token_issue_time                 = attrs.token_issue_time
auth.policy_results.allowed           = @allowed
auth.remaining_uses                   = attrs.remaining_uses
request.id                            = @id attrs.event.id
request.operation                     = @operation
request.path                          = @path
request.mount_point                   = attrs.mount_point
request.mount_type                    = @mount attrs.mount_type
request.mount_accessor                = drop
request.mount_class                   = drop
request.namespace.id                  = env
request.namespace.path                = env?
request.client_token                  = @requesttoken
request.client_token_accessor         = @accessor
request.remote_address                = src_ip
request.remote_port                   = src_port
request.headers.user-agent            = user_agent
request.headers.x-forwarded-for       = src_ip?
request.data.accessor                 = @subject
request.data.token                    = @subjecttoken
request.data.display_name             = attrs.request.display_name fact.label
request.data.ttl                      = attrs.request.ttl
response.auth.client_token            = @newtoken
response.auth.accessor                = @newaccessor
response.auth.display_name            = attrs.new_display_name fact.label fact.owner
response.auth.policies                = attrs.new_policies fact.scope
response.auth.token_policies          = attrs.new_token_policies
response.auth.token_type              = attrs.new_token_type fact.type
response.auth.token_ttl               = attrs.new_token_ttl fact.ttl
response.auth.metadata.role           = attrs.new_role fact.app
response.auth.metadata.username       = attrs.new_username fact.owner
response.auth.metadata.role_name      = attrs.new_role fact.app
response.data.secret_id_accessor      = @secretid
request.data.secret_id_accessor       = @secretid
response.data.accessor                = attrs.response.accessor
response.mount_accessor               = drop
response.mount_class                  = drop
response.mount_running_plugin_version = drop
response.secret.lease_id              = attrs.lease_id
`,
	actions: `
create auth/token/create*     = credential +created
update auth/token/create*     = credential +created
update auth/token/revoke*     = credential +revoked
update auth/token/renew*      = credential
update auth/token/lookup*     = read
update auth/*/secret-id       = credential +created type:approle_secret_id
update auth/*/custom-secret-id = credential +created type:approle_secret_id
update auth/*/secret-id/destroy = credential +revoked type:approle_secret_id
update auth/*/secret-id-accessor/destroy = credential +revoked type:approle_secret_id
update auth/*/tidy/secret-id  = credential
update auth/*/login*          = auth +created
create auth/*/login*          = auth +created
update auth/*/oidc/*          = auth
read auth/*/oidc/*            = auth
read auth/*/callback          = auth +created
read auth/token/lookup*       = read
update sys/leases/revoke*     = credential
update sys/revoke*            = credential
* sys/policy*                 = admin
* sys/policies/*              = admin
* sys/audit*                  = admin
* sys/auth*                   = admin
* sys/mounts*                 = admin
* sys/seal                    = admin
* sys/generate-root*          = admin
* sys/rekey*                  = admin
* sys/raw/*                   = admin
update sys/unseal             = admin
update sys/init               = admin
update sys/step-down          = admin
update sys/rotate*            = admin
update sys/wrapping/lookup    = read
update sys/wrapping/*         = credential
update */rotate-root*         = credential
update */rotate-role*         = credential
update */keys/*/rotate        = credential
read */export/*               = export
read */static-creds/*         = credential
update sys/capabilities*      = read
read sys/internal/*           = read
* auth/*/role/*               = admin
* identity/*                  = admin
read */creds/*                = credential
read secret/*                 = credential
read kv/*                     = credential
read */data/*                 = credential
update */encrypt/*            = read
update */decrypt/*            = credential
update */sign/*               = credential
update */issue/*              = credential
create *                      = write
update *                      = write
patch *                       = write
delete *                      = delete
list *                        = list
read *                        = read
`,
	derive: func(p *auditParser) {
		row := p.row
		op, path := p.text("operation"), p.text("path")
		p.join(tokenwatch.ColAction, op, []byte(" "), path)
		p.attr("event.action", op)
		row.SetText(tokenwatch.ColResource, path)
		p.or(tokenwatch.ColService, []byte("vault"))
		p.or(tokenwatch.ColIssuer, []byte("vault"))
		if id := p.text("id"); id != nil { // request and response share it
			p.join(tokenwatch.ColRequestID, id, []byte(" "), p.text("type"))
		}
		if row.Has(tokenwatch.ColActor) {
			p.set(tokenwatch.ColActorKind, "service")
			if bytes.Contains(row.Text(tokenwatch.ColActor), []byte("@")) {
				p.set(tokenwatch.ColActorKind, "user")
			}
		}
		caller := p.text("token")
		if caller == nil {
			caller = p.text("requesttoken")
		}
		p.vaultToken(row, caller)
		if a := p.text("accessor"); a != nil {
			row.AddName(tokenwatch.NameAccessor, "vault", a)
		}
		subject, token := p.text("subject"), p.text("subjecttoken")
		if a := p.text("newaccessor"); a != nil {
			subject, token = a, p.text("newtoken")
		}
		if id := p.text("secretid"); id != nil {
			subject, token = id, nil
		}
		p.hold(heldPart{part: factSubject, kind: tokenwatch.NameAccessor, issuer: "vault", value: subject})
		switch {
		case bytes.HasPrefix(token, []byte("hmac-")):
			p.hold(heldPart{part: factSubject, kind: tokenwatch.NameProviderID, issuer: "vault_hmac", value: token})
		case token != nil:
			row.AddIncidental("token", token)
			p.parts = append(p.parts, heldPart{part: factSecret, secret: len(row.Credentials)})
		case bytes.HasSuffix(path, []byte("/revoke-self")):
			p.hold(heldPart{part: factSubject, kind: tokenwatch.NameAccessor, issuer: "vault", value: p.text("accessor")})
		}
		for _, t := range []string{"newtoken", "subjecttoken", "requesttoken"} {
			if v := p.text(t); v != nil && !bytes.Equal(v, token) && !bytes.Equal(v, caller) && !bytes.HasPrefix(v, []byte("hmac-")) {
				row.AddIncidental("token", v)
			}
		}
		switch e := p.text("error"); {
		case bytes.Contains(e, []byte("permission denied")) || string(p.text("allowed")) == "false":
			p.set(tokenwatch.ColOutcome, "denied")
			p.set(tokenwatch.ColError, "authz")
		case bytes.Contains(e, []byte("invalid token")) || bytes.Contains(e, []byte("bad token")):
			p.set(tokenwatch.ColOutcome, "denied")
			p.set(tokenwatch.ColError, "authn")
		case e != nil:
			p.set(tokenwatch.ColOutcome, "failure")
			p.set(tokenwatch.ColError, "client")
		}
	},
	finish: func(p *auditParser) {
		if string(p.text("type")) == "request" { // what is only asked for has not happened yet
			p.parts = p.parts[:0]
		}
	},
}

// vaultToken notes the caller's token: its name under the audit device's key, or
// itself where the device logs raw.
func (p *auditParser) vaultToken(row *tokenwatch.Row, token []byte) {
	switch {
	case bytes.HasPrefix(token, []byte("hmac-")):
		row.AddName(tokenwatch.NameProviderID, "vault_hmac", token)
	case token != nil:
		row.AddCredential("x-vault-token", token)
	}
}
