package shape

import (
	"strings"

	"github.com/tokenwatch/tokenwatch"
)

// ecsFormats are the formats of which ECS's users expect something else than
// what the columns say: they run before the columns are filled in, and what they
// set stays.
var ecsFormats = map[string]func(*row, Document){
	"cloudtrail": ecsCloudTrail, "microsoft365": ecsMicrosoft365, "google_workspace": ecsWorkspace, "azure": ecsAzure, "okta": ecsOkta,
	"slack": ecsNamed, "auth0": ecsNamed, "vault": ecsNamed, "gcp_audit": ecsGCP, "atlassian": ecsAtlassian, "onepassword": ecsNamed, "cloudflare_audit": ecsNamed,
	"kubernetes": ecsKubernetes, "github_webhook": ecsAlert, "github": ecsGitHub, "cloudflare_http": ecsCloudflare,
}

// ecsNamed leaves user.name out where the record names the user otherwise.
func ecsNamed(r *row, d Document) {
	if d.get("user.name") == "" && (d.get("user.id") != "" || d.get("user.email") != "") {
		d.hold("user.name")
	}
}

// hold keeps a field from being filled from a column; ECS drops such fields.
func (d Document) hold(path string) { d.set(path, held{}) }

// held stands where nothing is to be.
type held struct{}

// release takes away what was held, and objects that hold nothing.
func (d Document) release() {
	for name, v := range d {
		switch v := v.(type) {
		case held:
			delete(d, name)
		case Document:
			if v.release(); len(v) == 0 {
				delete(d, name)
			}
		}
	}
}

// email splits an address into name and domain, false if v is none.
func email(v string) (name, domain string, ok bool) {
	name, domain, ok = strings.Cut(v, "@")
	return name, domain, ok && name != "" && strings.Contains(domain, ".") && !strings.ContainsAny(v, " \\;/") && !strings.Contains(domain, "@")
}

func ecsCloudTrail(r *row, d Document) {
	service, operation, _ := strings.Cut(r.text(tokenwatch.ColAction), ":")
	d.put("event.action", operation)
	d.put("event.provider", service+".amazonaws.com")
	d.put("event.id", r.text(tokenwatch.ColRequestID))
	d.put("user.id", r.attr("principal_id"))
	d.put("user.name", r.attr("user_name"))
	if d.get("user.name") == "" {
		d.put("user.name", r.attr("userIdentity.sessionContext.sessionIssuer.userName"))
	}
	if d.get("user.name") == "" {
		if issuer := r.attr("session_issuer"); issuer != "" {
			d.put("user.name", issuer[strings.LastIndexByte(issuer, '/')+1:])
		}
	}
	if d.get("user.name") == "" && d.get("user.id") != "" {
		d.hold("user.name")
	}
	d.put("cloud.provider", "aws")
	d.put("cloud.account.id", r.text(tokenwatch.ColIssuer))
	d.put("error.message", r.attr("errorMessage"))
	d.put("group.name", r.attr("requestParameters.groupName"))
	d.put("group.id", r.attr("responseElements.group.groupId"))
	d.put("user.target.name", r.attr("requestParameters.userName"))
	d.put("user.target.id", r.attr("responseElements.user.userId"))
	d.put("user.changes.name", r.attr("requestParameters.newUserName"))
}

func ecsMicrosoft365(r *row, d Document) {
	actor := r.text(tokenwatch.ColActor)
	d.put("user.id", actor)
	d.hold("user.name")
	if name, domain, ok := strings.Cut(actor, "@"); ok && name != "" && !strings.ContainsAny(actor, " \\;/") && !strings.Contains(domain, "@") {
		d.remove("user.name")
		d.put("user.name", name)
		d.put("user.domain", domain)
		d.put("user.email", actor)
	}
	d.put("user.email", r.attr("mailbox"))
	object := r.text(tokenwatch.ColResource)
	switch {
	case r.text(tokenwatch.ColService) == "AzureActiveDirectory":
		d.put("user.target.id", object)
		if _, _, ok := email(object); ok {
			d.put("user.target.email", object)
			split(d, "user.target", object)
		}
	case strings.HasPrefix(object, "http"):
		d.put("url.original", object)
	}
	if r.has(tokenwatch.ColSrcIP) {
		d.set("client.ip", r.b.Addr(r.i).String())
	}
}

func ecsWorkspace(r *row, d Document) {
	actor, target := r.attr("user.email"), r.attr("user.target.email")
	if target != "" && (r.attr("event.provider") == "mobile" || strings.HasPrefix(r.attr("event_type"), "device_")) {
		d.remove("user.target.email") // it is whose device it is
		if target != actor {
			d.remove("user.email")
			d.set("user.email", []any{actor, target})
		}
		target = ""
	}
	split(d, "user", actor)
	split(d, "user.target", target)
	if name, domain, ok := email(r.attr("group.email")); ok {
		for _, at := range []string{"group", "user.target.group"} {
			d.put(at+".name", name)
			d.put(at+".domain", domain)
		}
	}
}

// split fills name and domain of a user from an address.
func split(d Document, user, address string) {
	if name, domain, ok := email(address); ok {
		d.put(user+".name", name)
		d.put(user+".domain", domain)
	}
}

func ecsAzure(r *row, d Document) {
	address := r.attr("user.email")
	if address != "" && strings.EqualFold(r.attr("category"), "SignInLogs") || strings.HasSuffix(r.attr("category"), "UserSignInLogs") {
		split(d, "user", address)
		if !strings.Contains(address, "@") {
			d.put("user.name", address)
		}
	}
	if d.get("user.name") == "" {
		d.hold("user.name")
	}
	if r.has(tokenwatch.ColSrcIP) {
		d.set("client.ip", r.b.Addr(r.i).String())
	}
	d.put("event.id", r.text(tokenwatch.ColRequestID))
	d.put("cloud.provider", "azure")
}

func ecsOkta(r *row, d Document) {
	name := r.attr("user.name")
	d.put("client.user.name", name)
	d.put("client.user.full_name", r.attr("user.full_name"))
	if r.has(tokenwatch.ColSrcIP) {
		d.set("client.ip", r.b.Addr(r.i).String())
	}
}

func ecsGCP(r *row, d Document) {
	d.hold("user.name")
	if o := r.text(tokenwatch.ColOutcome); o == "" || o == "success" && r.attr("authorization_granted") == "" { // nothing says so
		d.set("event.outcome", "unknown")
	}
	d.put("cloud.provider", "gcp")
}

// ecsKubernetes names the verb alone, and says whether it was allowed.
func ecsKubernetes(r *row, d Document) {
	verb, _, _ := strings.Cut(r.text(tokenwatch.ColAction), " ")
	d.put("event.action", verb)
	switch r.attr("authorization_decision") {
	case "allow":
		d.set("event.outcome", "success")
	case "forbid":
		d.set("event.outcome", "failure")
	}
	if r.has(tokenwatch.ColSrcIP) {
		d.set("client.ip", r.b.Addr(r.i).String())
	}
}

func ecsAtlassian(r *row, d Document) {
	ecsNamed(r, d)
}

func ecsGitHub(r *row, d Document) {
	action := r.text(tokenwatch.ColAction)
	group := r.attr("group.name")
	if group == "" && strings.HasPrefix(action, "org.") {
		group = r.attr("organization.name")
	}
	d.put("group.name", group)
	if r.attr("user.target.name") != "" {
		d.put("user.target.group.name", group)
	}
}

func ecsCloudflare(r *row, d Document) {
	if v := r.attr("http.version"); v != "" {
		d.remove("http.version")
		d.put("http.version", strings.TrimPrefix(v, "HTTP/"))
	}
}

func ecsAlert(r *row, d Document) {
	event, _, _ := strings.Cut(r.text(tokenwatch.ColAction), ".")
	if !strings.HasSuffix(event, "_alert") {
		return
	}
	d.set("event.kind", "alert")
	if r.attr("alert.state") != "" && r.attr("user.name") == "" { // as the API lists it: nobody sent it
		d.put("event.action", strings.TrimSuffix(event, "_alert"))
	}
}
