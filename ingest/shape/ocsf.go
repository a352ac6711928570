package shape

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/tokenwatch/tokenwatch"
)

// ocsfVersion is the version of the Open Cybersecurity Schema Framework the
// documents follow.
const ocsfVersion = "1.8.0"

// ocsfClass is a class of events.
type ocsfClass struct {
	uid        int
	name       string
	category   int
	group      string
	activities map[int]string
}

var (
	accountChange    = ocsfClass{3001, "Account Change", 3, "Identity & Access Management", map[int]string{0: "Unknown", 1: "Create", 2: "Enable", 4: "Password Reset", 5: "Disable", 6: "Delete", 7: "Attach Policy", 8: "Detach Policy", 99: "Other"}}
	authentication   = ocsfClass{3002, "Authentication", 3, "Identity & Access Management", map[int]string{1: "Logon", 2: "Logoff", 3: "Authentication Ticket", 99: "Other"}}
	entityManagement = ocsfClass{3004, "Entity Management", 3, "Identity & Access Management", map[int]string{1: "Create", 2: "Read", 3: "Update", 4: "Delete", 8: "Enable", 9: "Disable", 99: "Other"}}
	httpActivity     = ocsfClass{4002, "HTTP Activity", 4, "Network Activity", map[int]string{1: "Connect", 2: "Delete", 3: "Get", 4: "Head", 5: "Options", 6: "Post", 7: "Put", 8: "Trace", 9: "Patch", 99: "Other"}}
	apiActivity      = ocsfClass{6003, "API Activity", 6, "Application Activity", map[int]string{1: "Create", 2: "Read", 3: "Update", 4: "Delete", 99: "Other"}}
)

// OCSF returns row i of a batch as a document of OCSF: what became of a token as
// Entity Management, what became of an account as Account Change, logins as
// Authentication, requests to web servers as HTTP Activity, and all else as API
// Activity. Where a class demands what the row does not tell, it says unknown.
func OCSF(b *tokenwatch.Batch, i int) Document {
	r, d := rowOf(b, i), Document{}
	facts := r.facts()
	class, activity := r.ocsfClass(facts)
	d["class_uid"], d["class_name"] = class.uid, class.name
	d["category_uid"], d["category_name"] = class.category, class.group
	d["activity_id"], d["activity_name"] = activity, class.activities[activity]
	d["type_uid"], d["type_name"] = class.uid*100+activity, class.name+": "+class.activities[activity]
	d["time"] = b.Int(tokenwatch.ColTime, i) / 1e6
	if r.has(tokenwatch.ColDuration) && b.Int(tokenwatch.ColDuration, i) >= 0 {
		d["duration"] = b.Int(tokenwatch.ColDuration, i) / 1e6
	}
	r.ocsfMetadata(d)
	r.ocsfStatus(d, facts)
	r.ocsfWho(d, class)
	r.ocsfWhat(d, class, facts)
	r.ocsfCloud(d)
	r.ocsfUnmapped(d, facts)
	return d
}

// ocsfClass chooses the class and the activity.
func (r *row) ocsfClass(facts []tokenwatch.Fact) (ocsfClass, int) {
	class, action := r.text(tokenwatch.ColActionClass), strings.ToLower(r.text(tokenwatch.ColAction))
	for _, f := range facts {
		switch f.Kind {
		case tokenwatch.FactCreated:
			return entityManagement, 1
		case tokenwatch.FactRotated, tokenwatch.FactScopeChanged, tokenwatch.FactOwnerChanged:
			return entityManagement, 3
		case tokenwatch.FactRevoked, tokenwatch.FactExpired:
			return entityManagement, 4
		case tokenwatch.FactEnabled:
			return entityManagement, 8
		case tokenwatch.FactDisabled:
			return entityManagement, 9
		case tokenwatch.FactOwnerLeft:
			return accountChange, 6
		}
	}
	switch {
	case class == "auth":
		if strings.Contains(action, "logout") || strings.Contains(action, "logoff") || strings.HasSuffix(action, "session.end") {
			return authentication, 2
		}
		return authentication, 1
	case class == "admin" && (r.attr("user.target.name") != "" || r.attr("user.target.id") != "" || r.attr("user.target.email") != ""):
		return accountChange, accountActivity(action)
	case r.has(tokenwatch.ColMethod):
		return httpActivity, httpActivityOf(r.text(tokenwatch.ColMethod))
	}
	return apiActivity, apiActivityOf(class, action)
}

func accountActivity(action string) int {
	for _, w := range []struct {
		word string
		id   int
	}{
		{"password", 4}, {"suspend", 5}, {"disable", 5}, {"deactivat", 5}, {"block", 5}, {"enable", 2}, {"activat", 2}, {"unsuspend", 2},
		{"detach", 8}, {"remove", 8}, {"revoke", 8}, {"delete", 6}, {"destroy", 6}, {"create", 1}, {"attach", 7}, {"add", 7}, {"grant", 7}, {"assign", 7},
	} {
		if strings.Contains(action, w.word) {
			return w.id
		}
	}
	return 99
}

func httpActivityOf(method string) int {
	for id, name := range httpActivity.activities {
		if id != 99 && strings.EqualFold(name, method) {
			return id
		}
	}
	return 99
}

func apiActivityOf(class, action string) int {
	switch class {
	case "read", "list", "export":
		return 2
	case "delete":
		return 4
	case "write", "admin", "credential":
		for _, w := range []struct {
			word string
			id   int
		}{{"delete", 4}, {"destroy", 4}, {"remove", 4}, {"revoke", 4}, {"create", 1}, {"add", 1}, {"generate", 1}, {"get", 2}, {"list", 2}, {"read", 2}} {
			if strings.Contains(action, w.word) {
				return w.id
			}
		}
		return 3
	}
	return 99
}

// ocsfProducts are vendor and name of the products by their format; of others
// the format's name is the name.
var ocsfProducts = map[string][2]string{
	"cloudtrail": {"AWS", "CloudTrail"}, "s3access": {"AWS", "Amazon S3"}, "alb": {"AWS", "Elastic Load Balancing"}, "elb": {"AWS", "Elastic Load Balancing"},
	"gcp_audit": {"Google", "Cloud Audit Logs"}, "google_workspace": {"Google", "Workspace"}, "azure": {"Microsoft", "Azure Monitor"}, "microsoft365": {"Microsoft", "Microsoft 365"},
	"github": {"GitHub", "Audit log"}, "github_webhook": {"GitHub", "Webhooks"}, "gitlab": {"GitLab", "Audit events"}, "gitlab_api": {"GitLab", "GitLab"}, "okta": {"Okta", "System Log"},
	"auth0": {"Auth0", "Tenant logs"}, "kubernetes": {"CNCF", "Kubernetes"}, "vault": {"HashiCorp", "Vault"}, "slack": {"Slack", "Audit Logs"}, "teleport": {"Teleport", "Audit log"},
	"tailscale": {"Tailscale", "Configuration audit logs"}, "onepassword": {"1Password", "Events"}, "snyk": {"Snyk", "Audit logs"}, "cloudflare_audit": {"Cloudflare", "Audit logs"},
	"cloudflare_http": {"Cloudflare", "Logpush"}, "databricks": {"Databricks", "Audit logs"}, "keycloak": {"Keycloak", "Keycloak"}, "atlassian": {"Atlassian", "Audit log"},
	"gitleaks": {"Gitleaks", "Gitleaks"}, "trufflehog": {"Truffle Security", "TruffleHog"},
}

func (r *row) ocsfMetadata(d Document) {
	format := r.format()
	product := Document{"name": format}
	if p, ok := ocsfProducts[format]; ok {
		product = Document{"vendor_name": p[0], "name": p[1]}
	}
	if format == "" {
		product["name"] = "unknown"
	}
	m := Document{"version": ocsfVersion, "product": product}
	m.put("log_format", format)
	m.put("log_name", r.text(tokenwatch.ColSource))
	m.put("uid", r.text(tokenwatch.ColRequestID))
	m.put("event_code", r.attr("event.code"))
	if r.has(tokenwatch.ColIngestTime) {
		m["logged_time"] = r.b.Int(tokenwatch.ColIngestTime, r.i) / 1e6
	}
	d["metadata"] = m
}

// ocsfStatus fills how it ended, and how grave that is: what was refused is of
// low severity, a leak of high.
func (r *row) ocsfStatus(d Document, facts []tokenwatch.Fact) {
	severity := 1
	switch r.text(tokenwatch.ColOutcome) {
	case "success":
		d["status_id"], d["status"] = 1, "Success"
	case "failure":
		d["status_id"], d["status"] = 2, "Failure"
	case "denied":
		d["status_id"], d["status"] = 2, "Failure"
		severity = 2
	default:
		d["status_id"], d["status"] = 0, "Unknown"
	}
	for _, f := range facts {
		if f.Kind == tokenwatch.FactLeaked {
			severity = 4
		}
	}
	d["severity_id"], d["severity"] = severity, [...]string{"", "Informational", "Low", "Medium", "High"}[severity]
	d.put("status_code", r.text(tokenwatch.ColError))
	d.put("status_detail", r.attr("error.message"))
	d.put("message", r.attr("message"))
}

// address is what OCSF takes for an address of mail.
var address = regexp.MustCompile(`^[a-zA-Z0-9!#$%&'*+\-/=?^_{|}~.]+@[a-zA-Z0-9-]+\.[a-zA-Z0-9-.]+$`)

// ocsfUser is the actor as a user; false if the row names none.
func (r *row) ocsfUser() (Document, bool) {
	u := Document{}
	actor := r.text(tokenwatch.ColActor)
	u.put("uid", r.attr("user.id"))
	u.put("name", actor)
	u.put("full_name", r.attr("user.full_name"))
	for _, a := range []string{r.attr("user.email"), actor} {
		if address.MatchString(a) {
			u.put("email_addr", a)
			break
		}
	}
	switch kind := r.text(tokenwatch.ColActorKind); kind {
	case "":
	case "user", "federated":
		u["type_id"], u["type"] = 1, "User"
	case "root":
		u["type_id"], u["type"] = 2, "Admin"
	case "service", "role", "role_session":
		u["type_id"], u["type"] = 4, "Service"
	default:
		u["type_id"], u["type"] = 99, kind
	}
	u.put("credential_uid", r.text(tokenwatch.ColToken))
	return u, u["name"] != nil || u["uid"] != nil
}

// unknownUser stands where a class demands a user.
func unknownUser() Document { return Document{"name": "unknown", "type_id": 0, "type": "Unknown"} }

// ocsfWho fills who did it, from where.
func (r *row) ocsfWho(d Document, class ocsfClass) {
	actor := Document{}
	user, named := r.ocsfUser()
	if named {
		actor["user"] = user
	}
	session := Document{}
	session.put("uid", r.text(tokenwatch.ColSession))
	session.put("issuer", r.text(tokenwatch.ColIssuer))
	session.put("credential_uid", r.text(tokenwatch.ColToken))
	if session["uid"] != nil || session["credential_uid"] != nil {
		actor["session"] = session
	}
	if len(actor) == 0 && class.uid == apiActivity.uid {
		actor["user"] = unknownUser()
	}
	if len(actor) > 0 {
		d["actor"] = actor
	}
	switch class.uid {
	case authentication.uid:
		if !named {
			user = unknownUser()
		}
		d["user"] = user
	case accountChange.uid:
		target := Document{}
		target.put("uid", r.attr("user.target.id"))
		target.put("name", r.attr("user.target.name"))
		if a := r.attr("user.target.email"); address.MatchString(a) {
			target.put("email_addr", a)
			target.put("name", a)
		}
		target.put("full_name", r.attr("user.target.full_name"))
		if target["uid"] == nil && target["name"] == nil {
			target = unknownUser()
		}
		d["user"] = target
	}
	end := Document{}
	if r.has(tokenwatch.ColSrcIP) {
		end["ip"] = r.b.Addr(r.i).String()
	}
	if r.has(tokenwatch.ColSrcPort) {
		end["port"] = r.b.Int(tokenwatch.ColSrcPort, r.i)
	}
	if r.has(tokenwatch.ColSrcASN) {
		end["autonomous_system"] = Document{"number": r.b.Int(tokenwatch.ColSrcASN, r.i)}
	}
	if c := r.text(tokenwatch.ColSrcCountry); c != "" {
		end["location"] = Document{"country": strings.ToUpper(c)}
	}
	end.put("svc_name", r.attr("src_service"))
	if end["ip"] == nil && end["svc_name"] == nil {
		end = Document{}
		if class.uid == apiActivity.uid {
			end["name"] = "unknown"
		}
	}
	if len(end) > 0 {
		d["src_endpoint"] = end
	}
}

// ocsfWhat fills what was done, to what.
func (r *row) ocsfWhat(d Document, class ocsfClass, facts []tokenwatch.Fact) {
	r.ocsfHTTP(d, class)
	service := r.text(tokenwatch.ColService)
	if service == "" {
		service = r.format()
	}
	if action := r.text(tokenwatch.ColAction); class.uid != httpActivity.uid {
		if action == "" {
			action = "unknown"
		}
		api := Document{"operation": action}
		if service != "" {
			api["service"] = Document{"name": service}
		}
		if id := r.text(tokenwatch.ColRequestID); id != "" {
			api["request"] = Document{"uid": id}
		}
		answer := Document{}
		answer.put("error", r.text(tokenwatch.ColError))
		answer.put("error_message", r.attr("error.message"))
		if r.has(tokenwatch.ColStatus) {
			answer["code"] = r.b.Int(tokenwatch.ColStatus, r.i)
		}
		if len(answer) > 0 {
			api["response"] = answer
		}
		if token := r.text(tokenwatch.ColToken); token != "" {
			t := Document{"uid": token, "type_id": 7, "type": "API Token"}
			if kind := r.text(tokenwatch.ColTokenKind); kind != "" {
				t["type_id"], t["type"] = 99, kind
			}
			api["token"] = t
		}
		d["api"] = api
	}
	switch class.uid {
	case authentication.uid:
		d["service"] = Document{"name": service}
		if service == "" {
			d["service"] = Document{"name": "unknown"}
		}
	case apiActivity.uid:
		if resource := r.text(tokenwatch.ColResource); resource != "" {
			d["resources"] = []any{Document{"uid": resource}}
		}
	case entityManagement.uid:
		d["entity"] = ocsfEntity(facts)
	}
}

// ocsfEntity is the token that the first fact is about.
func ocsfEntity(facts []tokenwatch.Fact) Document {
	f := facts[0]
	e := Document{"type_id": 99, "type": "API Token"}
	if f.TokenType != "" {
		e["type"] = f.TokenType
	}
	e.put("uid", string(f.Token))
	e.put("uid", f.Lineage)
	e.put("name", f.Label)
	if e["uid"] == nil && e["name"] == nil {
		e["name"] = "unknown"
	}
	return e
}

func (r *row) ocsfHTTP(d Document, class ocsfClass) {
	request, u := Document{}, Document{}
	request.put("http_method", r.text(tokenwatch.ColMethod))
	request.put("user_agent", r.text(tokenwatch.ColUserAgent))
	request.put("referrer", r.attr("referer"))
	request.put("version", r.attr("http.version"))
	if r.has(tokenwatch.ColBytesIn) {
		request["length"] = r.b.Int(tokenwatch.ColBytesIn, r.i)
	}
	if r.has(tokenwatch.ColPath) {
		parts := urlOf(r.text(tokenwatch.ColPath))
		u.put("path", parts.path)
		u.put("query_string", parts.query)
		host, port := hostPort(r.text(tokenwatch.ColHost))
		if scheme := r.text(tokenwatch.ColScheme); hostname.MatchString(host) {
			u.put("hostname", host)
			if port > 0 {
				u["port"] = port
			}
			if scheme != "" {
				u["scheme"] = scheme
				u["url_string"] = scheme + "://" + r.text(tokenwatch.ColHost) + parts.original
			}
		}
		if u["path"] == nil && u["url_string"] == nil {
			u["path"] = "/"
		}
		request["url"] = u
	}
	if class.uid == httpActivity.uid {
		request.put("uid", r.text(tokenwatch.ColRequestID))
	}
	if len(request) > 0 {
		d["http_request"] = request
	}
	if r.has(tokenwatch.ColStatus) && class.uid == httpActivity.uid {
		answer := Document{"code": r.b.Int(tokenwatch.ColStatus, r.i)}
		if r.has(tokenwatch.ColBytesOut) {
			answer["length"] = r.b.Int(tokenwatch.ColBytesOut, r.i)
		}
		d["http_response"] = answer
	}
}

// hostname is what OCSF takes for the name of a host.
var hostname = regexp.MustCompile(`^([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(\.([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*$`)

var ocsfClouds = map[string]string{"cloudtrail": "AWS", "s3access": "AWS", "alb": "AWS", "elb": "AWS", "gcp_audit": "GCP", "azure": "Azure"}

func (r *row) ocsfCloud(d Document) {
	provider := ocsfClouds[r.format()]
	if provider == "" {
		return
	}
	c := Document{"provider": provider}
	c.put("region", r.text(tokenwatch.ColRegion))
	c.put("project_uid", r.attr("cloud.project.id"))
	if account := r.text(tokenwatch.ColIssuer); provider == "AWS" && account != "" {
		c["account"] = Document{"uid": account}
	}
	d["cloud"] = c
}

// ocsfUnmapped puts the attrs, and the columns that OCSF has no place for, where
// it leaves room for them.
func (r *row) ocsfUnmapped(d Document, facts []tokenwatch.Fact) {
	own := Document{}
	for _, c := range []tokenwatch.Col{
		tokenwatch.ColToken, tokenwatch.ColRoute, tokenwatch.ColActionClass, tokenwatch.ColOutcome, tokenwatch.ColScope, tokenwatch.ColEnv, tokenwatch.ColSrcCloud,
	} {
		own.put(c.String(), r.text(c))
	}
	for _, c := range []tokenwatch.Col{tokenwatch.ColLate, tokenwatch.ColFuture, tokenwatch.ColDuplicate} {
		if r.b.Bool(c, r.i) {
			own[c.String()] = true
		}
	}
	if told := tell(facts); told != nil {
		own["facts"] = told
	}
	un := Document{}
	if len(own) > 0 {
		un["tokenwatch"] = own
	}
	for _, key := range r.keys {
		if _, taken := un[key]; taken {
			key += " " + strconv.Itoa(len(un))
		}
		if v := r.attrs[key]; len(v) > 1 {
			un[key] = texts(v)
		} else if len(v) == 1 {
			un[key] = v[0]
		}
	}
	if len(un) > 0 {
		d["unmapped"] = un
	}
}
