package shape

import (
	neturl "net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// ecsVersion is the version of the Elastic Common Schema the documents follow.
const ecsVersion = "8.11.0"

// ecsOwn are the fields of ECS that rows hold as attrs, under the same name.
var ecsOwn = func() map[string]bool {
	m := make(map[string]bool)
	for _, name := range strings.Fields(`
		client.ip client.user.email client.user.full_name client.user.id client.user.name cloud.account.id cloud.project.id device.id error.code error.message
		event.action event.code event.id event.provider event.reason event.severity file.name file.path group.domain group.id group.name
		host.os.name host.os.version http.request.method http.request.referrer http.response.mime_type http.version log.level message
		organization.id organization.name rule.description rule.id rule.name service.address source.domain url.domain url.full url.original url.path
		user.changes.email user.changes.full_name user.changes.name user.domain user.effective.name user.email user.full_name user.id user.name
		user.target.domain user.target.email user.target.full_name user.target.group.id user.target.group.name user.target.id user.target.name`) {
		m[name] = true
	}
	return m
}()

// ECS returns row i of a batch as a document of the Elastic Common Schema: nested,
// every field of the type that ECS gives it. Attrs that have the name of a field
// of ECS are that field; all others are labels.
func ECS(b *tokenwatch.Batch, i int) Document {
	r, d := rowOf(b, i), Document{}
	format := r.format()
	for _, key := range r.keys {
		if ecsOwn[key] {
			if v := r.attrs[key]; len(v) > 1 {
				d.set(key, texts(v))
			} else {
				d.set(key, v[0])
			}
		}
	}
	if hook := ecsFormats[format]; hook != nil {
		hook(r, d)
	}
	r.ecsEvent(d)
	r.ecsWho(d)
	r.ecsHTTP(d)
	r.ecsRest(d)
	d.set("ecs.version", ecsVersion)
	d.release()
	return d
}

func texts(v []string) []any {
	out := make([]any, len(v))
	for i := range v {
		out[i] = v[i]
	}
	return out
}

// ecsTime is a time as Elasticsearch keeps dates: in milliseconds.
func ecsTime(ns int64) string {
	return time.Unix(0, ns).UTC().Truncate(time.Millisecond).Format("2006-01-02T15:04:05.000Z")
}

// ecsEvent fills what happened, and when.
func (r *row) ecsEvent(d Document) {
	d.set("@timestamp", ecsTime(r.b.Int(tokenwatch.ColTime, r.i)))
	if r.has(tokenwatch.ColIngestTime) {
		d.set("event.ingested", ecsTime(r.b.Int(tokenwatch.ColIngestTime, r.i)))
	}
	d.set("event.kind", "event")
	d.put("event.module", r.format())
	d.put("data_stream.dataset", r.text(tokenwatch.ColSource))
	d.put("event.action", r.text(tokenwatch.ColAction))
	if r.has(tokenwatch.ColDuration) {
		d.set("event.duration", r.b.Int(tokenwatch.ColDuration, r.i))
	}
	outcome := r.text(tokenwatch.ColOutcome)
	switch outcome {
	case "":
	case "success", "failure":
		d.set("event.outcome", outcome)
	case "denied":
		d.set("event.outcome", "failure")
	default:
		d.set("event.outcome", "unknown")
	}
	category, types := r.ecsKind()
	if outcome == "denied" {
		types = append(types, "denied")
	}
	d.set("event.category", category)
	d.set("event.type", types)
	d.put("error.code", r.text(tokenwatch.ColError))
	if id := r.text(tokenwatch.ColRequestID); id != "" {
		if r.has(tokenwatch.ColMethod) {
			d.set("http.request.id", id)
		}
		d.put("event.id", id)
	}
}

// ecsKind are the category and types of the event, of the values that ECS allows.
func (r *row) ecsKind() (category, types []any) {
	action := strings.ToLower(r.text(tokenwatch.ColAction))
	change := "change"
	for _, w := range []struct{ word, typ string }{
		{"delete", "deletion"}, {"destroy", "deletion"}, {"revoke", "deletion"}, {"remove", "deletion"},
		{"create", "creation"}, {"generate", "creation"}, {"add", "creation"}, {"grant", "creation"},
	} {
		if strings.Contains(action, w.word) {
			change = w.typ
			break
		}
	}
	web := r.has(tokenwatch.ColMethod)
	switch r.text(tokenwatch.ColActionClass) {
	case "auth":
		switch {
		case strings.Contains(action, "logout") || strings.HasSuffix(action, "session.end"):
			return []any{"authentication"}, []any{"end"}
		case strings.Contains(action, "log"), strings.Contains(action, "sign"):
			return []any{"authentication"}, []any{"start"}
		}
		return []any{"authentication"}, []any{"info"}
	case "credential":
		return []any{"iam"}, []any{change}
	case "admin":
		return []any{"iam", "configuration"}, []any{"admin", change}
	case "write":
		types = []any{change}
	case "delete":
		types = []any{"deletion"}
	case "read", "list", "export":
		types = []any{"access"}
	default:
		types = []any{"info"}
	}
	if web {
		return []any{"web"}, []any{"access"}
	}
	return []any{"configuration"}, types
}

// ecsWho fills who did it, from where.
func (r *row) ecsWho(d Document) {
	actor := r.text(tokenwatch.ColActor)
	switch actor {
	case d.get("user.id"), d.get("user.email"), d.get("client.user.email"):
		// It has a field of its own.
	default:
		if r.text(tokenwatch.ColActorKind) != "account" {
			d.put("user.name", actor)
		}
	}
	if kind := r.text(tokenwatch.ColActorKind); kind != "" {
		d.set("user.roles", []any{kind})
	}
	if r.has(tokenwatch.ColSrcIP) {
		ip := r.b.Addr(r.i).String()
		d.set("source.ip", ip)
		d.set("source.address", ip)
	}
	if r.has(tokenwatch.ColSrcPort) {
		d.set("source.port", r.b.Int(tokenwatch.ColSrcPort, r.i))
	}
	if r.has(tokenwatch.ColSrcASN) {
		d.set("source.as.number", r.b.Int(tokenwatch.ColSrcASN, r.i))
	}
	d.put("source.geo.country_iso_code", r.text(tokenwatch.ColSrcCountry))
	d.put("user_agent.original", r.text(tokenwatch.ColUserAgent))
	d.put("user_agent.name", r.text(tokenwatch.ColAgentFamily))
}

// ecsHTTP fills what was asked for, and how it was answered.
func (r *row) ecsHTTP(d Document) {
	d.put("http.request.method", r.text(tokenwatch.ColMethod))
	d.put("http.request.referrer", r.attr("referer"))
	if r.has(tokenwatch.ColStatus) {
		d.set("http.response.status_code", r.b.Int(tokenwatch.ColStatus, r.i))
	}
	r.ecsBytes(d)
	host, scheme := r.text(tokenwatch.ColHost), r.text(tokenwatch.ColScheme)
	name, port := hostPort(host)
	d.put("url.domain", name)
	putDomain(d, name)
	if port > 0 {
		d.set("url.port", port)
	}
	d.put("url.scheme", scheme)
	if !r.has(tokenwatch.ColPath) {
		return
	}
	u := urlOf(r.text(tokenwatch.ColPath))
	switch r.format() {
	case "combined", "ingress", "traefik", "traefikjson", "apachessl": // ECS's users have them taken apart by uri_parts
		u.decode(neturl.PathUnescape)
	case "w3c": // of which they decode the query as a form
		u.query = decoded(neturl.QueryUnescape, u.query)
	}
	if requestLine[r.format()] && r.has(tokenwatch.ColMethod) {
		d.put("http.version", "1.1") // a request line tells of every other one
	}
	for _, key := range []string{"cs-version", "cs-protocol-version", "cs_version", "cs_protocol_version", "RequestProtocol", "httpRequest.httpVersion"} {
		d.put("http.version", strings.TrimPrefix(r.attr(key), "HTTP/"))
	}
	switch r.format() {
	case "w3c": // logs the query apart
		d.put("url.original", u.path)
	case "alb", "elb": // log the whole URL
		d.put("url.original", scheme+"://"+host+u.original)
	}
	d.put("url.original", u.original)
	d.put("url.path", u.path)
	d.put("url.query", u.query)
	d.put("url.extension", u.extension)
	if host != "" && scheme != "" {
		d.set("url.full", scheme+"://"+host+u.original)
	}
}

// requestLine are the formats whose records hold a request line.
var requestLine = map[string]bool{"combined": true, "ingress": true, "traefik": true, "apachessl": true, "alb": true, "elb": true, "s3access": true}

// ecsBytes fills how much was sent either way: as a whole, or the body alone
// where that is what the format counts.
func (r *row) ecsBytes(d Document) {
	in, out := []string{"http.request.bytes"}, []string{"http.response.bytes"}
	switch r.format() {
	case "combined", "ingress", "traefik", "traefikjson", "apachessl", "s3access":
		out = []string{"http.response.body.bytes"}
	case "alb", "elb", "envoy":
		in, out = []string{"http.request.body.bytes"}, []string{"http.response.body.bytes"}
	case "w3c": // IIS and CloudFront differ in what they mean by it
		if n, err := strconv.ParseInt(r.attr("sc-content-len"), 10, 64); err == nil {
			d.set("http.response.body.bytes", n)
		} else if r.attr("x-edge-result-type") == "" {
			in, out = append(in, "http.request.body.bytes"), append(out, "http.response.body.bytes")
		}
	}
	for c, paths := range map[tokenwatch.Col][]string{tokenwatch.ColBytesIn: in, tokenwatch.ColBytesOut: out} {
		for _, path := range paths {
			if r.has(c) {
				d.set(path, r.b.Int(c, r.i))
			}
		}
	}
}

// ecsRest puts what ECS has no field for under tokenwatch and labels.
func (r *row) ecsRest(d Document) {
	d.put("service.name", r.text(tokenwatch.ColService))
	d.put("service.environment", r.text(tokenwatch.ColEnv))
	d.put("cloud.region", r.text(tokenwatch.ColRegion))
	for _, c := range []tokenwatch.Col{
		tokenwatch.ColToken, tokenwatch.ColTokenKind, tokenwatch.ColIssuer, tokenwatch.ColSrcCloud, tokenwatch.ColRoute, tokenwatch.ColActionClass,
		tokenwatch.ColResource, tokenwatch.ColScope, tokenwatch.ColOutcome, tokenwatch.ColSession,
	} {
		d.put("tokenwatch."+c.String(), r.text(c))
	}
	for _, c := range []tokenwatch.Col{tokenwatch.ColLate, tokenwatch.ColFuture, tokenwatch.ColDuplicate} {
		if r.b.Bool(c, r.i) {
			d.set("tokenwatch."+c.String(), true)
		}
	}
	if told := tell(r.facts()); told != nil {
		d.set("tokenwatch.facts", told)
	}
	labels := Document{}
	for _, key := range r.keys {
		if ecsOwn[key] || key == "referer" {
			continue
		}
		name := strings.ReplaceAll(key, ".", "_") // a label's name has no dots
		if _, taken := labels[name]; taken {
			continue
		}
		if v := r.attrs[key]; len(v) > 1 {
			labels[name] = texts(v)
		} else {
			labels[name] = v[0]
		}
	}
	if len(labels) > 0 {
		d["labels"] = labels
	}
}
