// Package shape writes sealed rows as documents of other people's schemas: ECS
// and OCSF.
//
// In: a row of a sealed [tokenwatch.Batch]. Out: a [Document], which encodes as
// JSON with its keys in order. Both are functions of the row alone: they read no
// clock, and add nothing that the row does not say. What a schema has no place
// for stands where it lets people put their own: labels and tokenwatch.* in ECS,
// unmapped in OCSF.
package shape

import (
	"net/netip"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"github.com/tokenwatch/tokenwatch"
)

// Document is an object of names and values, nested.
type Document map[string]any

// set puts a value at a dotted path, and tells whether it could: a path can be
// taken, by a value where the path goes on or by another one.
func (d Document) set(path string, v any) bool {
	at := d
	for {
		name, rest, more := strings.Cut(path, ".")
		if !more {
			if _, taken := at[name]; taken {
				return false
			}
			at[name] = v
			return true
		}
		next, ok := at[name].(Document)
		if !ok {
			if _, taken := at[name]; taken {
				return false
			}
			next = Document{}
			at[name] = next
		}
		at, path = next, rest
	}
}

// put sets a text unless it is empty.
func (d Document) put(path, v string) {
	if v != "" {
		d.set(path, v)
	}
}

// get returns the text at a dotted path, "" if there is none.
func (d Document) get(path string) string {
	at := d
	for {
		name, rest, more := strings.Cut(path, ".")
		if !more {
			s, _ := at[name].(string)
			return s
		}
		next, ok := at[name].(Document)
		if !ok {
			return ""
		}
		at, path = next, rest
	}
}

// remove takes away what stands at a dotted path.
func (d Document) remove(path string) {
	at := d
	for {
		name, rest, more := strings.Cut(path, ".")
		if !more {
			delete(at, name)
			return
		}
		next, ok := at[name].(Document)
		if !ok {
			return
		}
		at, path = next, rest
	}
}

// row is one row of a batch, with its attrs by key.
type row struct {
	b     *tokenwatch.Batch
	i     int
	keys  []string // of attrs, as they came
	attrs map[string][]string
}

func rowOf(b *tokenwatch.Batch, i int) *row {
	r := &row{b: b, i: i, attrs: make(map[string][]string)}
	b.EachAttr(i, func(key, value string) {
		if _, ok := r.attrs[key]; !ok {
			r.keys = append(r.keys, key)
		}
		r.attrs[key] = append(r.attrs[key], value)
	})
	for key, values := range r.attrs {
		r.attrs[key] = distinct(values)
	}
	return r
}

func (r *row) has(c tokenwatch.Col) bool { return r.b.Has(c, r.i) }

func (r *row) text(c tokenwatch.Col) string {
	if !r.has(c) {
		return ""
	}
	return r.b.Text(c, r.i)
}

// distinct leaves repeats out.
func distinct(v []string) []string {
	out := v[:0:0]
	for _, s := range v {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// attr returns the first value of an attr, "" if there is none.
func (r *row) attr(key string) string {
	if v := r.attrs[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// format is the format that read the record itself: the last of those that its
// envelopes are named with, as in cri+kubernetes.
func (r *row) format() string {
	f := r.text(tokenwatch.ColFormat)
	return f[strings.LastIndexByte(f, '+')+1:]
}

// hostPort splits a host from its port, 0 if there is none.
func hostPort(host string) (name string, port int64) {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.HasSuffix(host, "]") || strings.Count(host, ":") > 1 && host[0] != '[' {
		return host, 0
	}
	port, err := strconv.ParseInt(host[i+1:], 10, 32)
	if err != nil {
		return host, 0
	}
	return strings.Trim(host[:i], "[]"), port
}

// putDomain fills what the name of a host is made of, by the public suffixes that
// registries give out.
func putDomain(d Document, name string) {
	if _, err := netip.ParseAddr(name); err == nil || !strings.Contains(name, ".") {
		return
	}
	suffix, registry := publicsuffix.PublicSuffix(name)
	for !registry && strings.Contains(suffix, ".") { // a company's own
		_, rest, _ := strings.Cut(suffix, ".")
		suffix, registry = publicsuffix.PublicSuffix(rest)
	}
	above := strings.TrimSuffix(name, "."+suffix)
	if !registry || above == name || above == "" {
		return
	}
	label := above[strings.LastIndexByte(above, '.')+1:]
	d.put("url.top_level_domain", suffix)
	d.put("url.registered_domain", label+"."+suffix)
	d.put("url.subdomain", strings.TrimSuffix(above[:len(above)-len(label)], "."))
}

// url is what a path with its query is made of.
type url struct{ original, path, query, extension string }

func urlOf(path string) url {
	u := url{original: path}
	u.path, u.query, _ = strings.Cut(path, "?")
	u.query, _, _ = strings.Cut(u.query, "#")
	u.extension = extension(u.path)
	return u
}

// extension is that of the last segment of a path.
func extension(path string) string {
	last := path[strings.LastIndexByte(path, '/')+1:]
	if dot := strings.LastIndexByte(last, '.'); dot >= 0 {
		return last[dot+1:]
	}
	return ""
}

// decode takes percent escapes away from path and query, if they are sound.
func (u *url) decode(how func(string) (string, error)) {
	u.path, u.query = decoded(how, u.path), decoded(how, u.query)
	u.extension = extension(u.path)
}

// decoded is a text without its escapes, or as it is where they are not sound.
func decoded(how func(string) (string, error), s string) string {
	if t, err := how(s); err == nil {
		return t
	}
	return s
}

// facts are what the row says about tokens' lives.
func (r *row) facts() []tokenwatch.Fact { return Facts(r.b, r.i) }

// Facts are those that row i of a batch tells.
func Facts(b *tokenwatch.Batch, i int) []tokenwatch.Fact {
	all := b.Facts()
	lo := sort.Search(len(all), func(k int) bool { return all[k].Row >= i })
	hi := lo
	for hi < len(all) && all[hi].Row == i {
		hi++
	}
	return all[lo:hi]
}

// tell writes facts as objects, nil if there are none.
func tell(facts []tokenwatch.Fact) (out []any) {
	at := func(ns int64) string {
		switch ns {
		case 0:
			return ""
		case tokenwatch.Never:
			return "never"
		}
		return time.Unix(0, ns).UTC().Format(time.RFC3339Nano)
	}
	for _, f := range facts {
		d := Document{"kind": string(f.Kind)}
		for _, t := range [][2]string{
			{"token", string(f.Token)}, {"previous", string(f.Previous)}, {"lineage", f.Lineage}, {"owner", f.Owner}, {"label", f.Label}, {"token_type", f.TokenType},
			{"app", f.App}, {"env", f.Env}, {"place", f.Place}, {"expires", at(f.Expires)}, {"until", at(f.Until)},
		} {
			d.put(t[0], t[1])
		}
		if len(f.Scopes) > 0 {
			d["scopes"] = texts(f.Scopes)
		}
		if len(f.Removed) > 0 {
			d["removed"] = texts(f.Removed)
		}
		out = append(out, d)
	}
	return out
}
