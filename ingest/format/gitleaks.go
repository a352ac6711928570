package format

import (
	"bytes"
	"time"
	"unsafe"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

// gitleaks is the findings of Gitleaks as JSON: each says where a credential
// leaked. The credential itself is fingerprinted and masked.
var gitleaks = product{
	name:  "gitleaks",
	marks: []string{`"RuleID"`, `"Secret"`, `"File"`, `"StartLine"`},
	fields: `
RuleID        = attrs.rule.id fact.type
Description   = attrs.rule.description
StartLine     = attrs.line
EndLine       = drop
StartColumn   = drop
EndColumn     = drop
Match         = @match
Line          = @line
Secret        = fact.secret
File          = @file attrs.file.path
SymlinkFile   = attrs.file.link
Commit        = @commit attrs.commit
Link          = @link attrs.link
Entropy       = attrs.entropy
Author        = actor?
Email         = actor
Date          = @time
Message       = attrs.commit.message
Tags          = attrs.tags
Fingerprint   = request_id
`,
	actions: `
secret.leaked = credential +leaked
`,
	derive: func(p *auditParser) {
		p.set(tokenwatch.ColAction, "secret.leaked")
		p.set(tokenwatch.ColService, "gitleaks")
		p.leakedAt(p.text("time"), p.text("link"), nil, p.text("file"), p.text("commit"))
		// The line around it is kept, with the credential masked in it.
		if line := p.text("line"); line != nil {
			p.attr("line_text", line)
		} else {
			p.attr("match", p.text("match"))
		}
	},
}

// commitTime reads the time of a commit as scanners write it.
func commitTime(v []byte) (int64, bool) {
	if v == nil {
		return 0, false
	}
	if ns, ok := normalize.ParseTime(v); ok {
		return ns, true
	}
	v, _, _ = bytes.Cut(v, []byte(" m=")) // of Go's clock
	if len(v) > 64 {
		return 0, false
	}
	for _, layout := range [...]string{"2006-01-02 15:04:05 -0700 MST", "2006-01-02 15:04:05 -0700", "01-02-2006"} {
		if t, err := time.Parse(layout, unsafe.String(unsafe.SliceData(v), len(v))); err == nil && t.Year() > 1970 && t.Year() < 2261 {
			return t.UnixNano(), true
		}
	}
	return 0, false
}
