package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// gitlab is GitLab's audit events: audit_json.log, the audit events API and
// event streams.
var gitlab = product{
	name:  "gitlab",
	marks: []string{`"author_id"|"author_name"`, `"entity_type"|"entity_id"|"entity_path"`, `"details"|"target_type"|"change"|"event_type"|"target_details"|"custom_message"`},
	fields: `
created_at                      = time
time                            = time?
id                              = request_id
correlation_id                  = attrs.correlation_id
severity                        = drop
author_name                     = actor attrs.user.full_name
details.author_name             = actor? attrs.user.full_name
author_id                       = actor?? attrs.user.id
details.author_email            = attrs.user.email
author_class                    = @authorclass
details.author_class            = @authorclass
ip_address                      = src_ip
details.ip_address              = src_ip?
entity_type                     = attrs.entity.type @entitytype
entity_id                       = attrs.entity.id
entity_path                     = resource @entitypath
details.entity_path             = resource?
event_type                      = action
details.event_name              = action?
event_name                      = action?
change                          = @change attrs.change
details.change                  = @change attrs.change
add                             = @add attrs.add
details.add                     = @add attrs.add
remove                          = @remove attrs.remove
details.remove                  = @remove attrs.remove
with                            = @with attrs.with
details.with                    = @with attrs.with
as                              = attrs.as
details.as                      = attrs.as
from                            = attrs.from
details.from                    = attrs.from
to                              = attrs.to
details.to                      = attrs.to
custom_message                  = @message attrs.message
details.custom_message          = @message attrs.message
failed_login                    = @failed
details.failed_login            = @failed
target_id                       = @target attrs.target.id
details.target_id               = @target attrs.target.id
target_type                     = @targettype attrs.target.type
details.target_type             = @targettype attrs.target.type
target_details                  = attrs.target.name @targetname
details.target_details          = attrs.target.name @targetname
details.scopes                  = attrs.scopes fact.scope
details.expires_at              = attrs.expires_at fact.expires
`,
	actions: `
personal_access_token_created            = credential +created type:personal_access_token
personal_access_token_issued             = credential +created type:personal_access_token
personal_access_token_revoked            = credential +revoked type:personal_access_token
personal_access_token_rotated            = credential +rotated type:personal_access_token
*_personal_access_token_revoked          = credential +revoked type:personal_access_token
impersonation_token_created              = credential +created type:impersonation_token
impersonation_token_revoked              = credential +revoked type:impersonation_token
project_access_token_rotated             = credential +rotated type:project_access_token
group_access_token_rotated               = credential +rotated type:group_access_token
service_account_access_token_created     = credential +created type:service_account_access_token
service_account_access_token_rotated     = credential +rotated type:service_account_access_token
service_account_access_token_revoked     = credential +revoked type:service_account_access_token
project_access_token_created             = credential +created type:project_access_token
project_access_token_deleted             = credential +revoked type:project_access_token
group_access_token_created               = credential +created type:group_access_token
group_access_token_deleted               = credential +revoked type:group_access_token
resource_access_token_created            = credential +created type:resource_access_token
resource_access_token_deleted            = credential +revoked type:resource_access_token
deploy_token_created                     = credential +created type:deploy_token
deploy_token_revoked                     = credential +revoked type:deploy_token
deploy_token_deleted                     = credential +revoked type:deploy_token
group_deploy_token_created               = credential +created type:deploy_token
group_deploy_token_revoked               = credential +revoked type:deploy_token
group_deploy_token_deleted               = credential +revoked type:deploy_token
deploy_key_added                         = credential +created type:deploy_key
deploy_key_removed                       = credential +revoked type:deploy_key
cluster_agent_token_created              = credential +created type:agent_token
cluster_agent_token_revoked              = credential +revoked type:agent_token
oauth_application_created                = credential +created type:oauth_application
oauth_application_secret_renew           = credential +rotated type:oauth_application
oauth_application_destroyed              = credential +revoked type:oauth_application
ci_runner_token_*                        = credential
*runner_registration_token*              = credential
*_access_token_creation_failed           = credential failure
*_access_token_deletion_failed           = credential failure
*_token_*                                = credential
*_tokens_*                               = credential
*ssh_key*                                = credential
*gpg_key*                                = credential
*ci_variable*                            = credential
*password*                               = credential
*two_factor*                             = credential
*otp*                                    = credential
user_destroyed                           = admin +owner_left
user_blocked                             = admin +owner_left
user_deactivated                         = admin +owner_left
member_destroyed                         = admin
failed_login                             = auth denied error:authn
login_failed_*                           = auth denied error:authn
*authenticated*                          = auth
*login*                                  = auth
*logout*                                 = auth
user_impersonation                       = admin
repository_download_operation            = export
*export*                                 = export
*download*                               = export
repository_git_operation                 = read
*_destroyed                              = delete
*_deleted                                = delete
*_removed                                = delete
*_created                                = write
*_added                                  = write
remove *                                 = admin
add *                                    = admin
change *                                 = admin
*                                        = admin
`,
	derive: func(p *auditParser) {
		row := p.row
		if !row.Has(tokenwatch.ColAction) { // older records tell what changed
			for _, verb := range []string{"add", "remove", "change", "with"} {
				if v := p.text(verb); v != nil {
					p.join(tokenwatch.ColAction, []byte(verb), []byte(" "), v)
					break
				}
			}
			if p.text("failed") != nil {
				p.set(tokenwatch.ColAction, "failed_login")
			}
			p.or(tokenwatch.ColAction, p.text("message"))
			p.or(tokenwatch.ColAction, []byte("audit_event"))
		}
		p.or(tokenwatch.ColIssuer, []byte("gitlab"))
		p.or(tokenwatch.ColResource, p.text("targetname"))
		kind := "user"
		if c := p.text("authorclass"); c != nil && string(c) != "User" {
			kind = "service"
		}
		if row.Has(tokenwatch.ColActor) {
			p.set(tokenwatch.ColActorKind, kind)
		}
		if string(p.text("entitytype")) == "User" { // whose token it is
			p.hold(heldPart{part: factOwner, value: p.text("entitypath")})
		}
		target := p.text("target")
		switch string(p.text("targettype")) {
		case "PersonalAccessToken":
			p.hold(heldPart{part: factSubject, kind: tokenwatch.NameProviderID, issuer: "gitlab", value: target})
		case "DeployToken":
			p.hold(heldPart{part: factSubject, kind: tokenwatch.NameProviderID, issuer: "gitlab_deploy_token", value: target})
		case "DeployKey", "Key":
			p.hold(heldPart{part: factSubject, kind: tokenwatch.NameProviderID, issuer: "gitlab_key", value: target})
		case "Clusters::AgentToken":
			p.hold(heldPart{part: factSubject, kind: tokenwatch.NameProviderID, issuer: "gitlab_agent_token", value: target})
		case "Doorkeeper::Application", "Authn::OauthApplication":
			p.hold(heldPart{part: factLineage, value: target})
		case "User":
			// Tokens of projects and groups are told by their message: "Created project access token with token_id: 1 with scopes: [:api]".
			p.hold(heldPart{part: factOwner, value: p.text("targetname")})
		}
		message := p.text("message")
		if id := between(message, "token_id: ", " "); id != nil {
			p.hold(heldPart{part: factSubject, kind: tokenwatch.NameProviderID, issuer: "gitlab", value: id})
		} else if id := between(message, "token with id ", " "); id != nil {
			p.hold(heldPart{part: factSubject, kind: tokenwatch.NameProviderID, issuer: "gitlab", value: id})
		}
		if scopes := between(message, "scopes: [", "]"); scopes != nil {
			p.hold(heldPart{part: factScope, value: bytes.ReplaceAll(scopes, []byte(":"), nil)})
		}
	},
}
