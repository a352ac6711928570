package format

import "github.com/tokenwatch/tokenwatch/ingest/frame"

// All lists the formats. Where two fit a record equally well the earlier wins.
var All = []Format{
	{"cloudtrail", "AWS CloudTrail: single records, Records arrays, EventBridge envelopes", frame.JSONValues, false, newCloudTrail, sniffCloudTrail},
	{"combined", "nginx and Apache access logs, combined or common, with any trailing fields", frame.Lines, false, newCombined, sniffCombined},
	{"cri", "Kubernetes container logs (containerd, CRI-O) around a line of any format", frame.Lines, false, newCRI, sniffCRI},
	audit("GitHub audit log of an organisation or enterprise: API, export, streams", &github),
	{"json", "JSON lines: ECS, OCSF, OpenTelemetry and the usual access-log names, or a mapping file; Docker, Filebeat, Fluent Bit, Vector, journald, CloudWatch around a line of any format", frame.JSONValues, false, newJSON, sniffJSON},
	{"syslog", "RFC 5424 and RFC 3164, as sent or as files have them, around a line of any format", frame.Lines, false, newSyslog, sniffSyslog},
	{"tokenaudit", "JSON audit trail of what became of tokens: created, rotated, revoked, expired, scopes, owners, leaks", frame.JSONValues, false, newTokenAudit, sniffTokenAudit},
}
