package format

import "github.com/tokenwatch/tokenwatch/ingest/frame"

// All lists the formats. Where two fit a record equally well the earlier wins.
var All = []Format{
	{"cloudtrail", "AWS CloudTrail: single records, Records arrays, EventBridge envelopes", frame.JSONValues, false, newCloudTrail, sniffCloudTrail},
	{"combined", "nginx and Apache access logs, combined or common, with any trailing fields", frame.Lines, false, newCombined, sniffCombined},
	audit("GitHub audit log of an organisation or enterprise: API, export, streams", &github),
	{"json", "JSON lines: ECS, OCSF, OpenTelemetry and the usual access-log names, or a mapping file", frame.JSONValues, false, newJSON, sniffJSON},
}
