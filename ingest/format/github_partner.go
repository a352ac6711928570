package format

import "github.com/tokenwatch/tokenwatch"

// githubPartner is what GitHub's secret scanning reports to the issuer of a token
// that it found: the token, what it takes it for, and where it was.
var githubPartner = product{
	name:    "github_partner",
	marks:   []string{`"token"`, `"type"`, `"source"`, `"url"`},
	members: 4, // others have these names as well
	fields: `
token  = fact.secret
type   = attrs.secret_type fact.type
url    = @place attrs.url fact.place
source = attrs.found_in
`,
	actions: `
secret.leaked = credential +leaked
`,
	derive: func(p *auditParser) {
		p.set(tokenwatch.ColAction, "secret.leaked")
		p.set(tokenwatch.ColService, "github")
		p.set(tokenwatch.ColActor, "github")
		p.set(tokenwatch.ColActorKind, "service")
		p.row.SetText(tokenwatch.ColResource, p.text("place"))
	},
}
