package seal

import "bytes"

// hook is a form of URL whose path ends in a credential: whoever knows the URL may
// post there. The prefix may stand in any path, since logs part it from the host.
type hook struct {
	prefix string
	way    []set // of the parts before the credential, each with a slash behind it
	set    set
	min    int // of the credential
}

var hooks = []hook{
	{"services/T", []set{alnum, alnum}, alnum, 20},   // Slack
	{"workflows/T", []set{alnum, alnum}, alnum, 20},  // the same
	{"triggers/T", []set{alnum, alnum}, alnum, 20},   // the same
	{"webhooks/", []set{alnum}, urlSafe, 50},         // Discord: an id, then the token
	{"IncomingWebhook/", nil, hex, 32},               // Microsoft Teams
	{"integration/", nil, hex, 32},                   // PagerDuty
	{"with/key/", nil, urlSafe, 20},                  // IFTTT
	{"hooks/catch/", []set{alnum, alnum}, alnum, 20}, // Zapier
}

// hookHeads are the bytes that hooks begin with.
var hookHeads = func() (t [256]bool) {
	for _, h := range hooks {
		t[h.prefix[0]] = true
	}
	return t
}()

// hooked returns the bounds of the credential of a hook that begins at t[at:], 0
// and 0 if there is none.
func hooked(t []byte, at int) (lo, hi int) {
	if !hookHeads[t[at]] || (at > 0 && classes[t[at-1]]&isAlnum != 0) {
		return 0, 0
	}
next:
	for i := range hooks {
		h := &hooks[i]
		if len(t)-at < len(h.prefix) || string(t[at:at+len(h.prefix)]) != h.prefix {
			continue
		}
		lo = at + len(h.prefix)
		for _, part := range h.way {
			n := bytes.IndexByte(t[lo:min(len(t), lo+64)], '/')
			if n < 1 {
				continue next
			}
			for _, c := range t[lo : lo+n] {
				if inSet[c]&(1<<part) == 0 {
					continue next
				}
			}
			lo += n + 1
		}
		for hi = lo; hi < len(t) && inSet[t[hi]]&(1<<h.set) != 0; hi++ {
		}
		if hi-lo >= h.min && unexplained(t[lo:hi]) >= minPart {
			return lo, hi
		}
	}
	return 0, 0
}
