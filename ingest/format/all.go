package format

import "github.com/tokenwatch/tokenwatch/ingest/frame"

// All lists the formats. Where two fit a record equally well the earlier wins.
var All = []Format{
	{"alb", "AWS application load balancers, and TLS listeners of network load balancers", frame.Lines, false, newSpaced(&albTable), sniffALB},
	{"apacheerror", "Apache error log, 2.2 and 2.4, with ModSecurity's messages", frame.Lines, false, newApacheError, sniffApacheError},
	{"cloudtrail", "AWS CloudTrail: single records, Records arrays, EventBridge envelopes", frame.JSONValues, false, newCloudTrail, sniffCloudTrail},
	{"combined", "nginx and Apache access logs, combined or common, with any trailing fields", frame.Lines, false, newCombined, sniffCombined},
	{"cri", "Kubernetes container logs (containerd, CRI-O) around a line of any format", frame.Lines, false, newCRI, sniffCRI},
	{"elb", "AWS classic load balancers", frame.Lines, false, newSpaced(&elbTable), sniffELB},
	{"envoy", "Envoy and Istio access logs, the default texts", frame.Lines, false, newSpaced(&envoyTable), sniffEnvoy},
	audit("GitHub audit log of an organisation or enterprise: API, export, streams", &github),
	{"haproxy", "HAProxy: HTTP, HTTPS and TCP logs", frame.Lines, false, newHAProxy, sniffHAProxy},
	{"ingress", "Kubernetes nginx ingress controller", frame.Lines, false, newSpaced(&ingressTable), sniffIngress},
	{"json", "JSON lines: ECS, OCSF, OpenTelemetry and the usual access-log names, or a mapping file; Docker, Filebeat, Fluent Bit, Vector, journald, CloudWatch around a line of any format", frame.JSONValues, false, newJSON, sniffJSON},
	{"nginxerror", "nginx error log", frame.Lines, false, newNginxError, sniffNginxError},
	{"s3access", "AWS S3 server access logs", frame.Lines, false, newSpaced(&s3Table), sniffS3Access},
	{"squid", "Squid native access log", frame.Lines, false, newSpaced(&squidTable), sniffSquid},
	{"syslog", "RFC 5424 and RFC 3164, as sent or as files have them, around a line of any format", frame.Lines, false, newSyslog, sniffSyslog},
	{"tokenaudit", "JSON audit trail of what became of tokens: created, rotated, revoked, expired, scopes, owners, leaks", frame.JSONValues, false, newTokenAudit, sniffTokenAudit},
	{"traefik", "Traefik access log, common log format", frame.Lines, false, newSpaced(&traefikTable), sniffTraefik},
	{"w3c", "W3C extended: IIS, CloudFront and others with a #Fields line", frame.Lines, false, newW3C, sniffW3C},
}
