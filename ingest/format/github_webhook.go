package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

// githubWebhook is the payloads of GitHub's webhooks, and the alerts its API
// lists. A payload does not name its event; where the header that does was not kept
// beside it, as github_event, it is told by what the payload holds. Most
// have no time of their own: they are of their arrival.
var githubWebhook = product{
	name: "github_webhook",
	marks: []string{
		`"repository"|"sender"|"security_advisory"|"secret_type"|"instances_url"`,
		`"full_name"|"ghsa_id"|"secret_type"|"html_url"|"avatar_url"|"login"`,
		`"action"|"ref"|"team"|"secret_type"|"most_recent_instance"|"repository_url"|"private"|"zen"|"sender"`,
	},
	under: []string{"payload.", "body."},
	fields: `
github_event                        = @event
github_delivery                     = request_id
action                              = @action
sender.login                        = actor attrs.user.name
sender.id                           = attrs.user.id
sender.type                         = @sendertype
pusher.name                         = actor?
head_commit.author.name             = actor??
commits.author.name                 = actor???
commits.author.email                = attrs.author.email
commits.id                          = attrs.commit
commits.message                     = attrs.commit.message
commits.timestamp                   = time???
head_commit.timestamp               = time??
head_commit.*                       = drop
repository.full_name                = @repo
repository.private                  = attrs.repository.private
repository.visibility               = attrs.repository.visibility
repository.owner.login              = actor???? @owner
repository.*                        = drop
organization.login                  = attrs.organization.name @org
organization.id                     = attrs.organization.id
organization.*                      = drop
enterprise.slug                     = attrs.enterprise
enterprise.*                        = drop
sender.*                            = drop
installation.id                     = attrs.installation.id @installation
installation.app_id                 = attrs.app.id
installation.app_slug               = attrs.app.name fact.app
installation.account.login          = @account
installation.events                 = attrs.installation.events
installation.permissions.*          = fact.grant
installation.updated_at             = attrs.installation.updated_at
installation.*                      = drop
ref                                 = attrs.ref @ref
pull_request.title                  = attrs.pull_request @pr
pull_request.number                 = attrs.pull_request.number @pr
pull_request.updated_at             = time?
pull_request.user.login             = actor????
pull_request.*                      = drop
workflow_job.name                   = attrs.workflow_job @job
workflow_job.id                     = attrs.workflow_job.id @job
workflow_job.status                 = attrs.workflow_job.status
workflow_job.conclusion             = @conclusion attrs.workflow_job.conclusion
workflow_job.completed_at           = time?
workflow_job.started_at             = time??
workflow_job.*                      = drop
workflow_run.id                     = attrs.workflow_run.id @run
workflow_run.name                   = attrs.workflow_run
workflow_run.conclusion             = @conclusion attrs.workflow_run.conclusion
workflow_run.updated_at             = time?
workflow_run.*                      = drop
alert.secret_type                   = attrs.secret_type @secrettype fact.type
alert.secret_type_display_name      = attrs.secret_type_name
alert.secret                        = fact.secret
alert.number                        = attrs.alert @alert
alert.html_url                      = attrs.alert.url fact.place
alert.url                           = drop
alert.state                         = attrs.alert.state
alert.resolution                    = attrs.alert.resolution
alert.validity                      = attrs.alert.validity
alert.publicly_leaked               = attrs.alert.publicly_leaked
alert.push_protection_bypassed      = attrs.alert.push_protection_bypassed
alert.push_protection_bypassed_by.login = attrs.alert.bypassed_by
alert.resolved_by.login             = attrs.alert.resolved_by
alert.updated_at                    = time?
alert.resolved_at                   = time?
alert.dismissed_at                  = time?
alert.fixed_at                      = time?
alert.created_at                    = @created attrs.alert.created_at
alert.ghsa_id                       = attrs.advisory @vulnerability
alert.external_identifier           = attrs.advisory @vulnerability
alert.security_advisory.ghsa_id     = attrs.advisory @dependabot
alert.rule.id                       = attrs.rule @codescan
alert.rule.severity                 = attrs.alert.severity
alert.tool.name                     = attrs.tool
alert.most_recent_instance.*        = drop
alert.security_advisory.*           = drop
alert.security_vulnerability.*      = drop
alert.dismisser.*                   = drop
alert.dismissed_by.login            = attrs.alert.dismissed_by
alert.instances.*                   = drop
alert.rule.*                        = drop
alert.*                             = drop
location.type                       = attrs.location.type
location.details.path               = attrs.file.path fact.place
location.details.*                  = drop
security_advisory.ghsa_id           = attrs.advisory @advisory
security_advisory.severity          = attrs.severity
security_advisory.updated_at        = time?
security_advisory.published_at      = attrs.published
security_advisory.*                 = drop
key.id                              = attrs.key.id fact.subject:provider_id@github_deploy_key @key
key.title                           = attrs.key.title fact.label
key.read_only                       = @readonly attrs.key.read_only
key.created_at                      = @created attrs.key.created_at
key.key                             = drop
key.url                             = drop
personal_access_token_request.id                        = attrs.request.id @patrequest
personal_access_token_request.token_id                  = attrs.token.id fact.subject:provider_id@github_pat
personal_access_token_request.token_name                = attrs.token.name fact.label
personal_access_token_request.token_expires_at          = attrs.token.expires fact.expires
personal_access_token_request.token_last_used_at        = attrs.token.last_used
personal_access_token_request.token_expired             = attrs.token.expired
personal_access_token_request.owner.login               = attrs.user.target.name fact.owner
personal_access_token_request.created_at                = @created
personal_access_token_request.permissions_result.*      = fact.grant
personal_access_token_request.permissions_added.*       = drop
personal_access_token_request.repository_selection      = attrs.token.repositories
personal_access_token_request.*                         = drop
rule.name                           = attrs.rule @rule
rule.id                             = attrs.rule.id @rule
rule.updated_at                     = time?
rule.*                              = drop
member.login                        = attrs.user.target.name @member fact.owner
member.*                            = drop
membership.user.login               = attrs.user.target.name @membership fact.owner
membership.role                     = attrs.role
membership.*                        = drop
team.name                           = attrs.group.name @team
team.id                             = attrs.group.id
team.*                              = drop
scope                               = @scope
blocked_user.login                  = attrs.user.target.name @blocked
blocked_user.*                      = drop
hook.id                             = attrs.hook.id @hook
hook.config.url                     = attrs.hook.url
hook.updated_at                     = time?
hook.*                              = drop
hook_id                             = attrs.hook.id @hook
zen                                 = @zen
requester.login                     = attrs.requester
requester.*                         = drop
repository_selection                = attrs.repository_selection @selection
repositories.full_name              = attrs.repositories
repositories.*                      = drop
repositories_added.full_name        = attrs.repositories_added fact.scope
repositories_added.*                = drop
repositories_removed.full_name      = attrs.repositories_removed fact.removed
repositories_removed.*              = drop
secret_type                         = attrs.secret_type @alerttype fact.type
secret                              = fact.secret
html_url                            = attrs.alert.url fact.place
locations_url                       = drop
number                              = attrs.alert
state                               = @state attrs.alert.state
resolved_at                         = time
updated_at                          = time??
created_at                          = time???
resolved_by.login                   = actor?? attrs.alert.resolved_by
resolved_by.*                       = drop
push_protection_bypassed_by.*       = drop
rule.description                    = attrs.rule.description
tool.name                           = attrs.tool
most_recent_instance.ref            = attrs.ref @codescan
most_recent_instance.message.text   = attrs.message
most_recent_instance.*              = drop
rule.severity                       = attrs.alert.severity
dismissed_at                        = time????
fixed_at                            = time????
dismissed_by.login                  = actor?? attrs.alert.dismissed_by
dismissed_by.*                      = drop
instances_url                       = drop
url                                 = drop
`,
	actions: `
secret_scanning_alert.created             = credential +leaked
secret_scanning_alert.reopened            = credential +leaked
secret_scanning_alert.publicly_leaked     = credential +leaked
secret_scanning_alert.validated           = credential +leaked
secret_scanning_alert.open                = credential +leaked
secret_scanning_alert_location.created    = credential +leaked
secret_scanning_alert.revoked             = credential +revoked
secret_scanning_alert.*                   = credential
personal_access_token_request.approved    = credential +created type:fine_grained_pat
personal_access_token_request.denied      = credential
personal_access_token_request.created     = credential
personal_access_token_request.cancelled   = credential
deploy_key.created                        = credential +created type:deploy_key
deploy_key.deleted                        = credential +revoked type:deploy_key
installation.created                      = credential +created type:github_app_installation
installation.new_permissions_accepted     = credential +scope_changed type:github_app_installation
installation.suspend                      = credential +disabled type:github_app_installation
installation.unsuspend                    = credential +enabled type:github_app_installation
installation.deleted                      = credential +revoked type:github_app_installation
installation_repositories.*               = credential +scope_changed type:github_app_installation
github_app_authorization.revoked          = credential
organization.member_removed               = admin +owner_left
organization.*                            = admin
github_app_authorization.*                = credential
installation_target.*                     = admin
member.*                                  = admin
membership.*                              = admin
org_block.*                               = admin
branch_protection_rule.*                  = admin
branch_protection_configuration.*         = admin
repository.publicized                     = admin
repository.privatized                     = admin
repository.transferred                    = admin
repository.deleted                        = delete
repository.*                              = admin
public                                    = admin
team.*                                    = admin
team_add                                  = admin
meta.*                                    = admin
ping                                      = read
push                                      = write
pull_request.*                            = write
workflow_*                                = write
create                                    = write
delete                                    = delete
fork                                      = write
gollum                                    = write
issues.*                                  = write
issue_comment.*                           = write
issue_dependencies.*                      = write
sub_issues.*                              = write
commit_comment.*                          = write
discussion.*                              = write
discussion_comment.*                      = write
label.*                                   = write
milestone.*                               = write
merge_group.*                             = write
package.*                                 = write
registry_package.*                        = write
page_build                                = write
project.*                                 = write
project_card.*                            = write
project_column.*                          = write
projects_v2*                              = write
pull_request_review*                      = write
release.*                                 = write
repository_dispatch.*                     = write
check_run.*                               = write
check_suite.*                             = write
deployment.*                              = write
deployment_review.*                       = write
deployment_status.*                       = write
deployment_protection_rule.*              = admin
repository_import                         = admin
repository_advisory.*                     = read
repository_ruleset.*                      = admin
security_and_analysis*                    = admin
bypass_request_push_ruleset.*             = admin
bypass_request_secret_scanning.*          = admin
dismissal_request_*                       = admin
exemption_request_*                       = admin
custom_property*                          = admin
secret_scanning_scan.*                    = read
marketplace_purchase.*                    = admin
sponsorship.*                             = admin
star.*                                    = write
watch.*                                   = write
status                                    = write
code_scanning_alert.*                     = read
dependabot_alert.*                        = read
repository_vulnerability_alert.*          = read
security_advisory.*                       = read
`,
	derive: func(p *auditParser) {
		row := p.row
		event := p.webhookEvent()
		action := p.text("action")
		if action == nil && (event == "secret_scanning_alert" || event == "code_scanning_alert") { // as the API lists it
			if action = p.text("state"); action == nil {
				action = []byte("open")
			}
		}
		if action != nil {
			p.join(tokenwatch.ColAction, []byte(event), []byte("."), action)
		} else {
			p.set(tokenwatch.ColAction, event)
		}
		if made := p.text("created"); made != nil && string(action) == "created" && !row.Has(tokenwatch.ColTime) {
			if ns, ok := normalize.ParseTime(made); ok {
				row.SetInt(tokenwatch.ColTime, ns)
			}
		}
		row.SetText(tokenwatch.ColResource, p.text("repo"))
		p.or(tokenwatch.ColResource, p.text("org"))
		p.or(tokenwatch.ColResource, p.text("account"))
		p.or(tokenwatch.ColIssuer, []byte("github"))
		p.set(tokenwatch.ColService, "github")
		kind := "user"
		if t := p.text("sendertype"); string(t) == "Bot" {
			kind = "service"
		}
		if repo := p.text("repo"); !row.Has(tokenwatch.ColActor) && repo != nil { // somebody of the owner's
			owner, _, _ := bytes.Cut(repo, []byte("/"))
			row.SetText(tokenwatch.ColActor, owner)
			kind = "account"
		}
		if event == "security_advisory" && !row.Has(tokenwatch.ColActor) {
			p.set(tokenwatch.ColActor, "github")
			kind = "service"
		}
		if row.Has(tokenwatch.ColActor) {
			p.set(tokenwatch.ColActorKind, kind)
		}
		if string(p.text("conclusion")) == "failure" {
			p.set(tokenwatch.ColOutcome, "failure")
		}
		if event == "installation" || event == "installation_repositories" {
			p.hold(heldPart{part: factLineage, value: p.text("installation")})
		}
		if event == "deploy_key" && string(p.text("readonly")) == "false" {
			p.hold(heldPart{part: factScope, value: []byte("write")})
		} else if event == "deploy_key" {
			p.hold(heldPart{part: factScope, value: []byte("read")})
		}
	},
}

// webhookEvent tells a payload's event by what only it holds.
func (p *auditParser) webhookEvent() string {
	if event := p.text("event"); event != nil {
		return string(event)
	}
	for _, t := range [...]struct{ holds, event string }{
		{"alerttype", "secret_scanning_alert"},
		{"secrettype", "secret_scanning_alert"},
		{"patrequest", "personal_access_token_request"},
		{"dependabot", "dependabot_alert"},
		{"vulnerability", "repository_vulnerability_alert"},
		{"codescan", "code_scanning_alert"},
		{"alert", "alert"},
		{"advisory", "security_advisory"},
		{"key", "deploy_key"},
		{"zen", "ping"},
		{"job", "workflow_job"},
		{"run", "workflow_run"},
		{"pr", "pull_request"},
		{"rule", "branch_protection_rule"},
		{"blocked", "org_block"},
		{"membership", "organization"},
		{"hook", "meta"},
		{"ref", "push"},
	} {
		if p.text(t.holds) != nil {
			return t.event
		}
	}
	action := string(p.text("action"))
	switch {
	case p.text("team") != nil && p.text("member") != nil || p.text("scope") != nil:
		return "membership"
	case p.text("member") != nil:
		return "member"
	case p.text("team") != nil && action == "":
		return "team_add"
	case p.text("team") != nil:
		return "team"
	case p.text("selection") != nil && (action == "added" || action == "removed"):
		return "installation_repositories"
	case p.text("account") != nil && (p.text("repo") == nil):
		return "installation"
	case action == "revoked" && p.text("repo") == nil:
		return "github_app_authorization"
	case action == "" && p.text("repo") != nil:
		return "public"
	case p.text("repo") != nil:
		return "repository"
	}
	return "organization"
}
