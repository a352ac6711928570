package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// trufflehog is the findings of TruffleHog (--json): each says where a credential
// leaked. The credential itself is fingerprinted and masked.
var trufflehog = product{
	name:  "trufflehog",
	marks: []string{`"DetectorName"`, `"SourceMetadata"|"SourceName"`, `"Raw"|"RawV2"|"Redacted"`},
	fields: `
SourceMetadata.Data.Git.timestamp        = @time
SourceMetadata.Data.Github.timestamp     = @time
SourceMetadata.Data.Gitlab.timestamp     = @time
SourceMetadata.Data.Slack.timestamp      = @time
SourceMetadata.Data.Filesystem.timestamp = @time
SourceMetadata.Data.Git.commit           = @commit attrs.commit
SourceMetadata.Data.Github.commit        = @commit attrs.commit
SourceMetadata.Data.Gitlab.commit        = @commit attrs.commit
SourceMetadata.Data.Git.email            = actor
SourceMetadata.Data.Github.email         = actor
SourceMetadata.Data.Gitlab.email         = actor
SourceMetadata.Data.Slack.email          = actor
SourceMetadata.Data.Git.repository       = @repo
SourceMetadata.Data.Github.repository    = @repo
SourceMetadata.Data.Gitlab.repository    = @repo
SourceMetadata.Data.S3.bucket            = @repo
SourceMetadata.Data.Docker.image         = @repo
SourceMetadata.Data.Slack.channel_name   = @repo
SourceMetadata.Data.Git.file             = @file attrs.file.path
SourceMetadata.Data.Github.file          = @file attrs.file.path
SourceMetadata.Data.Gitlab.file          = @file attrs.file.path
SourceMetadata.Data.Filesystem.file      = @file attrs.file.path
SourceMetadata.Data.S3.file              = @file attrs.file.path
SourceMetadata.Data.Docker.file          = @file attrs.file.path
SourceMetadata.Data.Github.link          = @link attrs.link
SourceMetadata.Data.Gitlab.link          = @link attrs.link
SourceMetadata.Data.S3.link              = @link attrs.link
SourceMetadata.Data.Slack.link           = @link attrs.link
SourceMetadata.Data.Git.line             = attrs.line
SourceMetadata.Data.Github.line          = attrs.line
SourceMetadata.Data.Gitlab.line          = attrs.line
SourceMetadata.Data.Filesystem.line      = attrs.line
SourceName              = attrs.scanner
SourceID                = drop
SourceType              = drop
DetectorType            = drop
DetectorName            = attrs.detector fact.type
DetectorDescription     = drop
DecoderName             = attrs.decoder
Verified                = attrs.verified
VerificationError       = attrs.verification_error
VerificationFromCache   = drop
Raw                     = fact.secret
RawV2                   = secret:secret
Redacted                = secret:secret
ExtraData.account       = attrs.account
ExtraData.arn           = attrs.arn fact.owner
ExtraData.user_id       = attrs.user_id
ExtraData.resource_type = attrs.resource_type
StructuredData          = drop
`,
	actions: `
secret.leaked = credential +leaked
`,
	derive: func(p *auditParser) {
		p.set(tokenwatch.ColAction, "secret.leaked")
		p.set(tokenwatch.ColService, "trufflehog")
		p.leakedAt(p.text("time"), p.text("link"), p.text("repo"), p.text("file"), p.text("commit"))
	},
}

// leakedAt fills when and where a credential was seen: at a link, or at
// repository, file and commit.
func (p *auditParser) leakedAt(when, link, repo, file, commit []byte) {
	row := p.row
	if ns, ok := commitTime(when); ok {
		row.SetInt(tokenwatch.ColTime, ns)
	}
	place := link
	if place == nil {
		place = p.line(' ', repo, file, commit)
	}
	row.SetText(tokenwatch.ColResource, repo)
	p.or(tokenwatch.ColResource, file)
	p.hold(heldPart{part: factPlace, value: place})
	if masked(row.Text(tokenwatch.ColActor)) {
		row.Clear(tokenwatch.ColActor)
	}
	if row.Has(tokenwatch.ColActor) {
		row.SetText(tokenwatch.ColActor, bytes.TrimSpace(row.Text(tokenwatch.ColActor)))
		p.set(tokenwatch.ColActorKind, "user")
	}
}
