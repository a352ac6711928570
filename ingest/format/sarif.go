package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// sarif is SARIF reports of secret scanners, as Gitleaks writes them: one event,
// with a fact for each finding. A report of another scanner is an event that
// tells of no token.
var sarif = product{
	name:  "sarif",
	marks: []string{`"runs"`, `"version"`, `"results"|"tool"`, `sarif|"driver"|"ruleId"`},
	each:  ".results.",
	fields: `
$schema                                                                   = drop
version                                                                   = attrs.sarif.version
runs.tool.driver.name                                                     = @tool
runs.tool.driver.semanticVersion                                          = attrs.tool.version
runs.tool.driver.*                                                        = drop
runs.invocations.endTimeUtc                                               = time
runs.invocations.startTimeUtc                                             = time?
runs.invocations.*                                                        = drop
runs.versionControlProvenance.repositoryUri                               = resource
runs.results.ruleId                                                       = attrs.rule.id fact.type
runs.results.message.text                                                 = attrs.finding
runs.results.locations.physicalLocation.artifactLocation.uri              = attrs.file.path fact.place
runs.results.locations.physicalLocation.region.startLine                  = attrs.line
runs.results.locations.physicalLocation.region.snippet.text               = fact.secret
runs.results.locations.physicalLocation.region.*                          = drop
runs.results.locations.*                                                  = drop
runs.results.partialFingerprints.commitSha                                = attrs.commit
runs.results.partialFingerprints.email                                    = attrs.author.email
runs.results.partialFingerprints.author                                   = attrs.author.name
runs.results.partialFingerprints.date                                     = @date
runs.results.partialFingerprints.commitMessage                            = attrs.commit.message
runs.results.partialFingerprints.*                                        = drop
runs.results.properties.*                                                 = drop
`,
	actions: `
secret.leaked = credential +leaked
scan.report   = read
`,
	derive: func(p *auditParser) {
		row := p.row
		tool := p.text("tool")
		row.SetText(tokenwatch.ColService, tool)
		row.SetText(tokenwatch.ColActor, tool)
		p.set(tokenwatch.ColActorKind, "service")
		p.set(tokenwatch.ColAction, "scan.report")
		lower := bytes.ToLower(tool)
		for _, word := range []string{"leak", "secret", "hog", "ggshield", "credential"} {
			if bytes.Contains(lower, []byte(word)) && len(p.parts) > 0 {
				p.set(tokenwatch.ColAction, "secret.leaked")
			}
		}
		if ns, ok := commitTime(p.text("date")); ok && !row.Has(tokenwatch.ColTime) {
			row.SetInt(tokenwatch.ColTime, ns)
		}
	},
}
