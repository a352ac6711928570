package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// queryCarriers are the names of query parameters that carry a credential, in
// lower case, with the carrier noted for them.
var queryCarriers = map[string]string{
	"api_key": "api_key", "apikey": "api_key", "api-key": "api_key", "x-api-key": "api_key", "key": "key", "access_token": "access_token",
	"accesstoken": "access_token", "token": "token", "auth_token": "auth_token", "authtoken": "auth_token", "auth": "auth",
	"authorization": "authorization", "id_token": "id_token", "refresh_token": "refresh_token", "private_token": "private_token",
	"client_secret": "client_secret", "secret": "secret", "password": "password", "passwd": "password", "pwd": "password", "pass": "password",
	"sig": "sig", "signature": "signature", "x-amz-security-token": "x-amz-security-token", "x-amz-signature": "x-amz-signature",
	"x-goog-signature": "x-goog-signature", "sessionid": "session", "session_token": "session", "jsessionid": "session", "phpsessid": "session",
	"jwt": "jwt", "ticket": "ticket", "hapikey": "api_key", "subscription-key": "api_key",
	"appkey": "api_key", "app_key": "api_key", "credential": "credential", "client_assertion": "client_assertion",
}

// place is where a URL stands.
type place struct {
	carriers   map[string]string // queryCarriers with the place before; made once, so that none is built per row
	other      string            // the carrier of parameters not in the table
	userinfo   string
	incidental bool
}

var (
	query   = newPlace("query:", "url:userinfo", false)
	referer = newPlace("referer:", "referer:userinfo", true)
)

func newPlace(prefix, userinfo string, incidental bool) *place {
	p := &place{make(map[string]string), prefix + "other", userinfo, incidental}
	for k, v := range queryCarriers {
		p.carriers[k] = prefix + v
	}
	return p
}

// add notes a credential; name is the carrier without its place.
func (p *place) add(row *tokenwatch.Row, carrier, name string, secret []byte) {
	if p.incidental || incidentalCarriers[name] {
		row.AddIncidental(carrier, secret)
		return
	}
	row.AddCredential(carrier, secret)
}

// addURLCredentials notes the credentials in a URL or path: those of its query
// and fragment, and its user information.
func addURLCredentials(row *tokenwatch.Row, url []byte, at *place) {
	if user, rest, ok := userinfo(url); ok {
		user, secret, both := bytes.Cut(user, []byte(":"))
		if both && len(secret) > 0 {
			at.add(row, at.userinfo, "", secret)
		}
		if shapeOf(user) == isSecret {
			at.add(row, at.userinfo, "", user)
		}
		url = rest
	}
	if i := firstOf(url, '?', '#', ';'); i >= 0 {
		addQueryCredentials(row, url[i+1:], at)
	}
}

// userinfo returns the user information of a URL and what follows it. A password
// may hold signs that would end it if there were none: what stands before them
// is then no port.
func userinfo(url []byte) (user, rest []byte, ok bool) {
	s := 2
	if !bytes.HasPrefix(url, []byte("//")) {
		if len(url) == 0 || url[0] == '/' {
			return nil, url, false
		}
		if s = bytes.Index(url, []byte("://")) + 3; s < 3 {
			return nil, url, false
		}
	}
	colon, last := -1, -1
scan:
	for i := s; i < len(url); i++ {
		switch url[i] {
		case '/':
			break scan
		case '?', '#':
			if last >= 0 || colon < 0 || isDigits(url[colon+1:i]) {
				break scan
			}
		case ':':
			if colon < 0 {
				colon = i
			}
		case '@':
			last = i
		}
	}
	if last <= s {
		return nil, url, false
	}
	return url[s:last], url[last+1:], true
}

// addQueryCredentials notes the credentials among the parameters of a query.
func addQueryCredentials(row *tokenwatch.Row, query []byte, at *place) {
	var buf [32]byte
	for len(query) > 0 {
		var pair []byte
		if i := bytes.IndexAny(query, "&;?#"); i >= 0 {
			pair, query = query[:i], query[i+1:]
		} else {
			pair, query = query, nil
		}
		key, value, ok := bytes.Cut(pair, []byte("="))
		if !ok || len(value) == 0 || len(key) > 3*len(buf) {
			continue
		}
		name := parameter(appendUnescaped(buf[:0], key))
		for i, c := range name {
			if c >= 'A' && c <= 'Z' {
				name[i] = c + 'a' - 'A'
			}
		}
		carrier, known := at.carriers[string(name)]
		switch {
		case string(name) == "x-amz-credential":
			addAWSCredential(row, value)
		case known && masked(value):
		case known:
			at.add(row, carrier, queryCarriers[string(name)], unescape(row, value))
		case len(value) >= 20 && startsSecret(value):
			at.add(row, at.other, "", unescape(row, value))
		}
	}
}

// parameter returns the name of a parameter without brackets: token[] is token,
// and user[password] is password.
func parameter(name []byte) []byte {
	if n := len(name); n == 0 || name[n-1] != ']' {
		return name
	}
	open := bytes.LastIndexByte(name, '[')
	switch {
	case open <= 0:
		return name
	case open+2 == len(name):
		return parameter(name[:open])
	}
	return name[open+1 : len(name)-1]
}

// unescape returns v percent-decoded, in the row's memory if it had to be.
func unescape(row *tokenwatch.Row, v []byte) []byte {
	if bytes.IndexByte(v, '%') < 0 {
		return v
	}
	return row.Build(func(b []byte) []byte { return appendUnescaped(b, v) })
}

func appendUnescaped(dst, v []byte) []byte {
	for i := 0; i < len(v); i++ {
		if v[i] == '%' && i+2 < len(v) {
			if hi, lo := unhex(v[i+1]), unhex(v[i+2]); hi >= 0 && lo >= 0 {
				dst = append(dst, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		dst = append(dst, v[i])
	}
	return dst
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// setURL takes a URL apart into scheme, host and path. A value that begins with
// a slash is a path.
func setURL(row *tokenwatch.Row, url []byte) {
	addURLCredentials(row, url, query)
	if len(url) > 0 && url[0] != '/' {
		if i := bytes.Index(url, []byte("://")); i > 0 && i < 12 {
			setOnce(row, tokenwatch.ColScheme, url[:i])
			host, path := url[i+3:], []byte(nil)
			if _, rest, ok := userinfo(url); ok {
				host = rest
			}
			if j := firstOf(host, '/', '?', '#'); j >= 0 {
				host, path = host[:j], host[j:]
			}
			setOnce(row, tokenwatch.ColHost, host)
			url = path
		}
	}
	setOnce(row, tokenwatch.ColPath, url)
}

// firstOf returns the place of the first x, y or z, -1 if there is none. Three
// searches for a byte are faster than one for a set.
func firstOf(b []byte, x, y, z byte) int {
	first := -1
	for _, c := range [...]byte{x, y, z} {
		if i := bytes.IndexByte(b, c); i >= 0 {
			first, b = i, b[:i]
		}
	}
	return first
}

func setOnce(row *tokenwatch.Row, c tokenwatch.Col, v []byte) {
	if !row.Has(c) {
		row.SetText(c, v)
	}
}
