package format

import "bytes"

// describing are the members of an object that stands for a credential which
// say something of it and are no part of it, folded.
var describing = map[string]bool{
	"id": true, "uid": true, "uuid": true, "name": true, "label": true, "type": true, "kind": true, "tokentype": true, "scope": true, "scopes": true,
	"alg": true, "algorithm": true, "kid": true, "iss": true, "issuer": true, "sub": true, "subject": true, "aud": true, "audience": true, "exp": true, "iat": true,
	"nbf": true, "expires": true, "expiresat": true, "expiresin": true, "expiry": true, "expiration": true, "created": true, "createdat": true, "updatedat": true,
	"lastusedat": true, "status": true, "state": true, "version": true, "description": true, "owner": true, "user": true, "username": true, "scheme": true,
	"path": true, "domain": true, "httponly": true, "secure": true, "samesite": true, "maxage": true, "length": true, "present": true,
}

// part is what a field is in a pair of a name and its value.
type part uint8

const (
	noPart    part = iota
	namePart       // {"name": …}, {"Key": …}
	valuePart      // {"value": …}, {"value": {"stringValue": …}}
	itemPart       // an item of an array that may list names and values
)

// partOf tells what part a field is by its path as written, and how long the
// path of the pair is.
func partOf(full []byte) (part, int) {
	i := bytes.LastIndexByte(full, '.')
	if i < 0 {
		return noPart, 0
	}
	if isDigits(full[i+1:]) {
		above := full[:i]
		j := bytes.LastIndexByte(above, '.')
		if last := above[j+1:]; isDigits(last) || bytes.Contains(appendFolded(nil, last), []byte("headers")) {
			return itemPart, i
		}
		if k, n := partOf(above); k == valuePart { // "values": […]
			return k, n
		}
		return noPart, 0
	}
	switch fold(string(full[i+1:])) {
	case "name", "key", "header", "headername", "parametername", "parameterkey":
		return namePart, i
	case "value", "val", "values", "headervalue", "parametervalue":
		return valuePart, i
	case "stringvalue":
		return partOf(full[:i])
	}
	return noPart, 0
}

func isDigits(b []byte) bool {
	_, ok := digits(b)
	return ok
}

// pair is the name or the value of a pair, while the other is awaited.
type pair struct {
	part part
	path []byte // of the pair, as written
	rule rule   // that the name falls under
	text []byte // the value
}

// half takes a text that is part of a pair. Where the name is that of a carrier
// the value is a credential, besides being an attr, in which it is then found.
func (w *walker) half(f *field, v []byte) {
	p, path := &w.pair, f.full[:f.pairPath]
	same := bytes.Equal(p.path, path)
	switch f.part {
	case itemPart:
		if n, ok := digits(f.full[f.pairPath+1:]); ok && n%2 == 1 {
			if p.part == namePart && same {
				w.together(&p.rule, v)
			}
			return
		}
		w.named(path, v)
	case namePart:
		if p.part == valuePart && same {
			if r, ok := carrierRule(v); ok {
				w.together(&r, p.text)
			}
			return
		}
		w.named(path, v)
	case valuePart:
		if p.part == namePart && same {
			w.together(&p.rule, v)
			return
		}
		p.part, p.text, p.path = valuePart, v, append(p.path[:0], path...)
	}
}

// named notes the name of a pair, if it is that of a carrier.
func (w *walker) named(path, name []byte) {
	p := &w.pair
	p.part = noPart
	if r, ok := carrierRule(name); ok {
		p.part, p.rule, p.path = namePart, r, append(p.path[:0], path...)
	}
}

func (w *walker) together(r *rule, v []byte) {
	if len(v) > 1 {
		r.take(w.row, v, w.lenient)
	}
}

// carrierRule returns the rule of a carrier by its name, which may be the last
// part of a dotted one.
func carrierRule(name []byte) (rule, bool) {
	if i := bytes.LastIndexByte(name, '.'); i >= 0 {
		name = name[i+1:]
	}
	if len(name) > 64 {
		return rule{}, false
	}
	var buf [64]byte
	r, ok := leafRules[string(appendFolded(buf[:0], name))]
	return r, ok && (r.op == toCredential || r.op == toAuthorization)
}
