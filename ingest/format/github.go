package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// github is the audit log of GitHub organisations and enterprises, as the API,
// the export and the streams give it. The token a request was made with is known
// by its hash and id; in events about a token these are the ones of the token
// that the event is about.
var github = product{
	name: "github",
	marks: []string{
		`"action"`,
		`"actor"|"actor_id"|"_document_id"`,
		`"org"|"business"|"repo"|"_document_id"|"actor_location"|"programmatic_access_type"`,
	},
	fields: `
@timestamp                     = time
created_at                     = time?
_document_id                   = request_id
request_id                     = request_id?
action                         = action
actor                          = actor
actor_id                       = actor? attrs.user.id
actor_is_bot                   = @bot
actor_ip                       = src_ip
user_agent                     = user_agent
request_method                 = method
url_path                       = url
query_string                   = query
status_code                    = status
route                          = route
org                            = @org
business                       = @business
repo                           = @repo
repository                     = @repo
team                           = @team
data.team                      = @team
user                           = attrs.user.target.name fact.owner
programmatic_access_type       = token_kind
hashed_token                   = digest
data.hashed_token              = digest
token_id                       = name:provider_id@github
token_scopes                   = scope fact.scope
oauth_application_name         = attrs.oauth_application_name fact.app
user_programmatic_access_name  = attrs.user_programmatic_access_name fact.label
user_programmatic_access_id    = attrs.user_programmatic_access_id fact.subject:provider_id@github_pat
user_programmatic_access_request_id = attrs.user_programmatic_access_request_id
fingerprint                    = attrs.fingerprint fact.subject:provider_id@github_key
deploy_key_fingerprint         = attrs.fingerprint fact.subject:provider_id@github_key
title                          = attrs.title fact.label
oauth_application_id           = @app
integration_id                 = @app
application_client_id          = attrs.application_client_id
integration                    = attrs.integration fact.app
permissions_added              = attrs.permissions_added fact.scope
permissions_added.*            = fact.grant
permissions_unchanged.*        = fact.grant
token_expires_at               = attrs.token_expires_at fact.expires
expires_at                     = attrs.expires_at fact.expires
`,
	actions: `
personal_access_token.access_granted            = credential +created type:fine_grained_pat
personal_access_token.create                    = credential +created type:fine_grained_pat own
personal_access_token.credential_regenerated    = credential +rotated type:fine_grained_pat
personal_access_token.access_revoked            = credential +revoked type:fine_grained_pat
personal_access_token.credential_revoked        = credential +revoked type:fine_grained_pat
personal_access_token.destroy                   = credential +revoked type:fine_grained_pat
personal_access_token.access_restricted         = credential +scope_changed type:fine_grained_pat
personal_access_token.update                    = credential +scope_changed type:fine_grained_pat
personal_access_token.*                         = credential
oauth_access.create                             = credential +created
oauth_access.regenerate                         = credential +rotated
oauth_access.update                             = credential +scope_changed
oauth_access.destroy                            = credential +revoked
oauth_access.revoke                             = credential +revoked
oauth_authorization.create                      = credential +created type:oauth
oauth_authorization.update                      = credential +scope_changed type:oauth
oauth_authorization.destroy                     = credential +revoked type:oauth
org_credential_authorization.grant              = credential +enabled
org_credential_authorization.revoke             = credential +disabled
org_credential_authorization.deauthorize        = credential +disabled
org_credential_authorization.*                  = credential
public_key.create                               = credential +created type:ssh_key
public_key.update                               = credential +scope_changed type:ssh_key
public_key.delete                               = credential +revoked type:ssh_key
public_key.unverify                             = credential +disabled type:ssh_key
public_key.verify                               = credential +enabled type:ssh_key
public_key.*                                    = credential
deploy_key.create                               = credential +created type:deploy_key
deploy_key.update                               = credential +scope_changed type:deploy_key
deploy_key.delete                               = credential +revoked type:deploy_key
oauth_application.create                        = credential +created type:oauth_app
oauth_application.generate_client_secret        = credential +rotated type:oauth_app
oauth_application.reset_secret                  = credential +rotated type:oauth_app
oauth_application.transfer                      = credential +owner_changed type:oauth_app
oauth_application.revoke*                       = credential +revoked type:oauth_app
oauth_application.destroy                       = credential +revoked type:oauth_app
oauth_application.*                             = credential
integration.create                              = credential +created type:github_app
integration.generate_client_secret              = credential +rotated type:github_app
integration.transfer                            = credential +owner_changed type:github_app
integration.suspend                             = credential +disabled type:github_app
integration.unsuspend                           = credential +enabled type:github_app
integration.revoke*                             = credential +revoked type:github_app
integration.destroy                             = credential +revoked type:github_app
integration.*                                   = credential
integration_installation.create                 = credential +created type:github_app_installation
integration_installation.version_updated        = credential +scope_changed type:github_app_installation
integration_installation.suspend                = credential +disabled type:github_app_installation
integration_installation.unsuspend              = credential +enabled type:github_app_installation
integration_installation.destroy                = credential +revoked type:github_app_installation
integration_installation*                       = credential
org.remove_member                               = admin +owner_left
org.remove_outside_collaborator                 = admin +owner_left
business.remove_member                          = admin +owner_left
enterprise.remove_member                        = admin +owner_left
org.oauth_app_access_denied                     = credential
org.oauth_app_access_approved                   = credential
*secret_scanning*                               = admin
*actions_secret*                                = credential
*agents_secret*                                 = credential
*codespaces_secret*                             = credential
*dependabot_secret*                             = credential
environment.*secret*                            = credential
*register_self_hosted_runner                    = credential
*runner_registration_token*                     = credential
user.failed_login                               = auth failure error:authn
user.login                                      = auth
user.logout                                     = auth
user.two_factor*                                = auth
two_factor_authentication.*                     = auth
*.sso_response                                  = auth
git.clone                                       = read
git.fetch                                       = read
git.push                                        = write
repo.access                                     = admin
repo.download_zip                               = export
*export*                                        = export
*audit_log_git_event_export                     = export
repo.destroy                                    = delete
repo.transfer*                                  = admin
*_member*                                       = admin
*.invite_*                                      = admin
*two_factor_requirement*                        = admin
protected_branch.*                              = admin
repository_ruleset.*                            = admin
hook.*                                          = admin
team.*                                          = admin
*ip_allow_list*                                 = admin
*.saml*                                         = admin
org.*                                           = admin
business.*                                      = admin
enterprise.*                                    = admin
*.destroy                                       = delete
*.delete                                        = delete
*.remove                                        = delete
`,
	derive: func(p *auditParser) {
		row := p.row
		switch {
		case p.text("repo") != nil:
			p.or(tokenwatch.ColResource, p.text("repo"))
		case p.text("org") != nil:
			p.or(tokenwatch.ColResource, p.text("org"))
		default:
			p.or(tokenwatch.ColResource, p.text("business"))
		}
		p.or(tokenwatch.ColIssuer, []byte("github"))
		p.attr("organization.name", p.text("org"))
		p.attr("business", p.text("business"))
		p.attr("group.name", p.text("team"))
		if org := p.text("org"); !row.Has(tokenwatch.ColActor) && org != nil { // somebody of the organisation
			row.SetText(tokenwatch.ColActor, org)
			p.set(tokenwatch.ColActorKind, "account")
		} else if row.Has(tokenwatch.ColActor) {
			kind := "user"
			if string(p.text("bot")) == "true" || bytes.HasSuffix(row.Text(tokenwatch.ColActor), []byte("[bot]")) {
				kind = "service"
			}
			p.set(tokenwatch.ColActorKind, kind)
		}
	},
	finish: func(p *auditParser) {
		action := p.row.Text(tokenwatch.ColAction)
		category, _, _ := bytes.Cut(action, []byte("."))
		app := p.text("app")
		p.attr("application_id", app)
		switch string(category) {
		case "oauth_access", "personal_access_token", "oauth_authorization", "org_credential_authorization":
			p.namesAreSubject() // in these the token fields tell of the token that the event is about
		case "oauth_application", "integration", "integration_installation":
			p.hold(heldPart{part: factLineage, value: app})
		}
	},
}
