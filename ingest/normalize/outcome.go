package normalize

import (
	"net/netip"

	"github.com/tokenwatch/tokenwatch"
)

// The kinds of errors that a status tells.
const (
	errorAuthn     = "authn"
	errorAuthz     = "authz"
	errorNotFound  = "not_found"
	errorThrottled = "throttled"
	errorClient    = "client"
	errorServer    = "server"
)

// deniedWords tell a provider's refusals from its failures.
var deniedWords = []string{"denied", "unauthorized", "forbidden", "notauthorized", "expiredtoken", "invalidclienttokenid", "signaturedoesnotmatch", "invalidaccesskeyid", "authfailure"}

// outcome fills outcome and error from status and from the error the record gave.
func (n *Normalizer) outcome(row *tokenwatch.Row) {
	status, hasStatus := row.Int(tokenwatch.ColStatus), row.Has(tokenwatch.ColStatus)
	if !row.Has(tokenwatch.ColError) && hasStatus {
		if kind := errorKind(status); kind != "" {
			row.SetString(tokenwatch.ColError, kind)
		}
	}
	if given := row.Text(tokenwatch.ColOutcome); given != nil {
		if word := outcomeWord(given); word != "" {
			n.say(row, tokenwatch.ColOutcome, word)
		}
		return
	}
	switch {
	case hasStatus && (status == 401 || status == 403 || status == 407):
		n.say(row, tokenwatch.ColOutcome, "denied")
	case hasStatus && status >= 400:
		n.say(row, tokenwatch.ColOutcome, "failure")
	case hasStatus && status >= 100:
		n.say(row, tokenwatch.ColOutcome, "success")
	case row.Has(tokenwatch.ColError):
		n.say(row, tokenwatch.ColOutcome, errorOutcome(row.Text(tokenwatch.ColError)))
	}
}

// errorKind is the kind of error of an HTTP status, "" if it is none.
func errorKind(status int64) string {
	switch {
	case status == 401 || status == 407:
		return errorAuthn
	case status == 403:
		return errorAuthz
	case status == 404 || status == 410:
		return errorNotFound
	case status == 429:
		return errorThrottled
	case status >= 400 && status < 500:
		return errorClient
	case status >= 500:
		return errorServer
	}
	return ""
}

// errorOutcome tells from an error's name whether the request was refused or failed.
func errorOutcome(name []byte) string {
	switch string(name) {
	case errorAuthn, errorAuthz:
		return "denied"
	}
	var buf [128]byte
	lower := appendLower(buf[:0], name[:min(len(name), len(buf))])
	for _, w := range deniedWords {
		if contains(lower, w) {
			return "denied"
		}
	}
	return "failure"
}

// outcomeWord maps the usual words to ours, "" for one it does not know.
func outcomeWord(b []byte) string {
	var buf [32]byte
	switch string(appendLower(buf[:0], b[:min(len(b), len(buf))])) {
	case "success", "succeeded", "ok", "allow", "allowed", "successful", "passed", "true":
		return "success"
	case "failure", "failed", "fail", "error", "false":
		return "failure"
	case "denied", "deny", "blocked", "unauthorized", "forbidden", "rejected":
		return "denied"
	}
	return ""
}

// addressKind says what sort of address a is, as far as the address itself tells.
func addressKind(a netip.Addr) string {
	if a.Is4() {
		return quadKind(a.As4())
	}
	switch {
	case a.IsLoopback():
		return "loopback"
	case a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast():
		return "link_local"
	case a.IsPrivate() || a.IsUnspecified():
		return "private"
	}
	return "public"
}

// quadKind is addressKind of an IPv4 address.
func quadKind(a [4]byte) string {
	switch {
	case a[0] == 127:
		return "loopback"
	case a[0] == 169 && a[1] == 254, a[0] == 224 && a[1] == 0 && a[2] == 0:
		return "link_local"
	case a[0] == 10, a[0] == 172 && a[1]&0xf0 == 16, a[0] == 192 && a[1] == 168, a == [4]byte{},
		a[0] == 100 && a[1]&0xc0 == 64: // carrier-grade NAT, RFC 6598
		return "private"
	}
	return "public"
}
