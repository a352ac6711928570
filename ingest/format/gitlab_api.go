package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// gitlabAPI is GitLab's request logs as JSON: api_json.log and
// production_json.log. A token is known by its id.
var gitlabAPI = product{
	name: "gitlab_api",
	marks: []string{
		`"path"`,
		`"correlation_id"|"authenticity_token"`,
		`"meta.|"db_duration_s"|"duration_s"|"ua"|"authenticity_token"`,
	},
	fields: `
time                       = time
severity                   = drop
method                     = method
path                       = @path
host                       = host
status                     = status
route                      = @route
format                     = drop
controller                 = @controller attrs.controller
action                     = @action
remote_ip                  = src_ip
ip                         = src_ip?
ua                         = user_agent
user_id                    = actor?? attrs.user.id
username                   = actor attrs.user.name
meta.user                  = actor?
meta.caller_id             = attrs.caller
meta.project               = resource
meta.root_namespace        = attrs.namespace
meta.remote_ip             = src_ip??
meta.client_id             = actor?????
meta.feature_category      = attrs.feature
token_type                 = token_kind
token_id                   = name:provider_id@gitlab
meta.auth_fail_reason      = error
meta.auth_fail_token_id    = @failed attrs.failed_token
correlation_id             = request_id
duration_s                 = duration:1e9
duration                   = duration:1e6
params.key                 = key
params.value               = value
exception.class            = error?
exception.message          = attrs.error.message
request_urgency            = drop
target_duration_s          = drop
`,
	derive: func(p *auditParser) {
		row := p.row
		if path := p.text("path"); path != nil {
			row.Clear(tokenwatch.ColPath)
			setURL(row, path)
		}
		if route := p.text("route"); route != nil {
			row.SetText(tokenwatch.ColRoute, route)
		}
		if action := p.text("action"); action != nil && p.text("controller") != nil {
			p.join(tokenwatch.ColAction, p.text("controller"), []byte("#"), action)
		} else if !row.Has(tokenwatch.ColMethod) {
			row.SetText(tokenwatch.ColAction, p.text("path"))
		}
		p.or(tokenwatch.ColIssuer, []byte("gitlab"))
		p.or(tokenwatch.ColService, []byte("gitlab"))
		if id, ok := bytes.CutPrefix(p.text("failed"), []byte("PersonalAccessToken/")); ok {
			row.AddName(tokenwatch.NameProviderID, "gitlab", id)
		}
		if row.Has(tokenwatch.ColActor) {
			p.set(tokenwatch.ColActorKind, "user")
		}
	},
}
