package sigma

import (
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"go.yaml.in/yaml/v3"
)

// matcher tells whether a value matches. It looks at nothing but the value, so
// that equal values are looked at once.
type matcher func(value string) bool

// modifiers are those of one field, in order.
type modifiers struct{ list []string }

func (m modifiers) has(name string) bool { return slices.Contains(m.list, name) }

// take removes a modifier, and tells whether it was there.
func (m *modifiers) take(name string) bool {
	i := slices.Index(m.list, name)
	if i < 0 {
		return false
	}
	m.list = slices.Delete(slices.Clone(m.list), i, i+1)
	return true
}

var known = strings.Fields("all contains startswith endswith exists cased neq windash re i m s base64 base64offset " +
	"utf16le utf16be utf16 wide lt lte gt gte minute hour day week month year cidr expand fieldref")

func (m modifiers) check(key *yaml.Node) error {
	for _, name := range m.list {
		if !slices.Contains(known, name) {
			return at(key, "there is no modifier %.20q in Sigma 2.1", name)
		}
	}
	return nil
}

// matcher compiles a value with its modifiers.
func (c *compiler) matcher(v *yaml.Node, m modifiers) (matcher, error) {
	texts := []string{v.Value}
	if m.has("expand") {
		var err error
		if texts, err = c.expand(v); err != nil {
			return nil, err
		}
	}
	var list []matcher
	for _, text := range texts {
		one, err := compileValue(v, text, m)
		if err != nil {
			return nil, err
		}
		list = append(list, one...)
	}
	if len(list) == 1 {
		return list[0], nil
	}
	return func(value string) bool {
		for _, one := range list {
			if one(value) {
				return true
			}
		}
		return false
	}, nil
}

var placeholder = regexp.MustCompile(`%[A-Za-z0-9_.-]+%`)

// expand replaces placeholders by their values, all combinations of them.
func (c *compiler) expand(v *yaml.Node) ([]string, error) {
	texts := []string{v.Value}
	for {
		at0 := placeholder.FindStringIndex(texts[0])
		if at0 == nil {
			return texts, nil
		}
		name := texts[0][at0[0]+1 : at0[1]-1]
		values, ok := c.placeholders[name]
		if !ok || len(values) == 0 {
			return nil, at(v, "the placeholder %%%s%% has no values: give them in the configuration", name)
		}
		var out []string
		for _, t := range texts {
			for _, value := range values {
				out = append(out, strings.Replace(t, "%"+name+"%", literal(value), 1))
			}
		}
		if len(out) > 10_000 {
			return nil, at(v, "the placeholders have too many values")
		}
		texts = out
	}
}

// literal quotes what would be wildcards.
func literal(s string) string { return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`).Replace(s) }

// compileValue compiles one text; encodings make several matchers of it.
func compileValue(v *yaml.Node, text string, m modifiers) ([]matcher, error) {
	switch {
	case m.has("re"):
		return compileRegexp(v, text, m)
	case m.has("cidr"):
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, at(v, "cidr takes a network such as 10.0.0.0/8")
		}
		p = p.Masked()
		return []matcher{func(value string) bool {
			a, err := netip.ParseAddr(value)
			return err == nil && p.Contains(a.Unmap().WithZone(""))
		}}, nil
	}
	for _, op := range []string{"lt", "lte", "gt", "gte"} {
		if m.has(op) {
			return compileNumber(v, text, op)
		}
	}
	for _, part := range []string{"minute", "hour", "day", "week", "month", "year"} {
		if m.has(part) {
			return compileTime(v, text, part)
		}
	}
	if m.has("windash") {
		return eachDash(v, text, m)
	}
	return compileText(v, text, m)
}

// maxPattern bounds a compiled regular expression's source and its repeats.
const maxPattern = 4 << 10

func compileRegexp(v *yaml.Node, text string, m modifiers) ([]matcher, error) {
	if len(text) > maxPattern {
		return nil, at(v, "a pattern may have 4 KiB")
	}
	flags := ""
	for _, f := range []string{"i", "m", "s"} {
		if m.has(f) {
			flags += f
		}
	}
	if flags != "" {
		text = "(?" + flags + ")" + text
	}
	// RE2: time is linear in the value, and the size of a program is bounded.
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, at(v, "the pattern is no regular expression of RE2's")
	}
	return []matcher{re.MatchString}, nil
}

func compileNumber(v *yaml.Node, text, op string) ([]matcher, error) {
	want, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, at(v, "%s takes a number", op)
	}
	return []matcher{func(value string) bool {
		got, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return false
		}
		switch op {
		case "lt":
			return got < want
		case "lte":
			return got <= want
		case "gt":
			return got > want
		default:
			return got >= want
		}
	}}, nil
}

func compileTime(v *yaml.Node, text, part string) ([]matcher, error) {
	want, err := strconv.Atoi(text)
	if err != nil {
		return nil, at(v, "%s takes a whole number", part)
	}
	return []matcher{func(value string) bool {
		t, err := time.Parse(time.RFC3339Nano, value)
		if err != nil {
			return false
		}
		switch part {
		case "minute":
			return t.Minute() == want
		case "hour":
			return t.Hour() == want
		case "day":
			return t.Day() == want
		case "week":
			_, week := t.ISOWeek()
			return week == want
		case "month":
			return int(t.Month()) == want
		default:
			return t.Year() == want
		}
	}}, nil
}

// dashes are what windash takes for each other.
var dashes = []string{"-", "/", "–", "—", "―"}

func eachDash(v *yaml.Node, text string, m modifiers) ([]matcher, error) {
	m.take("windash")
	// Only a dash that begins a word marks a flag.
	at0 := -1
	for i := range text {
		if (i == 0 || text[i-1] == ' ') && (text[i] == '-' || text[i] == '/') {
			at0 = i
			break
		}
	}
	if at0 < 0 {
		return compileText(v, text, m)
	}
	var out []matcher
	for _, d := range dashes {
		list, err := compileText(v, text[:at0]+d+text[at0+1:], m)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// compileText compiles a text with wildcards, after the encodings asked for.
func compileText(v *yaml.Node, text string, m modifiers) ([]matcher, error) {
	for _, name := range m.list {
		switch name {
		case "utf16le", "wide":
			text = wide(text, binary.LittleEndian, false)
		case "utf16be":
			text = wide(text, binary.BigEndian, false)
		case "utf16":
			text = wide(text, binary.LittleEndian, true)
		}
	}
	cased := m.has("cased")
	var texts []string
	switch {
	case m.has("base64offset"):
		for offset := range 3 {
			texts = append(texts, literal(base64At(text, offset)))
		}
		cased = true
	case m.has("base64"):
		texts, cased = []string{literal(base64.StdEncoding.EncodeToString([]byte(text)))}, true
	default:
		texts = []string{text}
	}
	var out []matcher
	for _, t := range texts {
		switch {
		case m.has("contains"):
			t = "*" + t + "*"
		case m.has("startswith"):
			t += "*"
		case m.has("endswith"):
			t = "*" + t
		}
		out = append(out, glob(t, cased))
	}
	return out, nil
}

func wide(text string, order binary.ByteOrder, mark bool) string {
	var b []byte
	if mark {
		b = []byte{0xff, 0xfe}
	}
	for _, u := range utf16.Encode([]rune(text)) {
		var two [2]byte
		order.PutUint16(two[:], u)
		b = append(b, two[:]...)
	}
	return string(b)
}

// base64At is what stays the same of a text's encoding where it stands offset bytes
// behind a multiple of three.
func base64At(text string, offset int) string {
	starts, ends := [3]int{0, 2, 3}, [3]int{0, -3, -2}
	b := append(make([]byte, offset, offset+len(text)), text...)
	s := base64.StdEncoding.EncodeToString(b)
	return s[starts[offset] : len(s)+ends[len(b)%3]]
}

// glob compiles a text in which * is any characters and ? is one, each literal
// behind a backslash; a backslash before any other character is itself.
func glob(text string, cased bool) matcher {
	fold := func(s string) string { return s }
	if !cased {
		fold = strings.ToLower
	}
	var parts []string // between the stars
	var part []byte
	ones := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text) && (text[i+1] == '*' || text[i+1] == '?' || text[i+1] == '\\'):
			i++
			part = append(part, text[i])
		case c == '*':
			parts = append(parts, fold(string(part)))
			part = part[:0]
		case c == '?':
			ones = true
			part = append(part, 0) // no value holds NUL as text
		default:
			part = append(part, c)
		}
	}
	parts = append(parts, fold(string(part)))
	if ones {
		return wild(parts, fold)
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(parts) == 1 {
		if cased {
			return func(value string) bool { return value == first }
		}
		return func(value string) bool { return strings.ToLower(value) == first }
	}
	between := parts[1 : len(parts)-1]
	return func(value string) bool {
		value = fold(value)
		if len(value) < len(first)+len(last) || !strings.HasPrefix(value, first) || !strings.HasSuffix(value, last) {
			return false
		}
		value = value[len(first) : len(value)-len(last)]
		for _, p := range between {
			i := strings.Index(value, p)
			if i < 0 {
				return false
			}
			value = value[i+len(p):]
		}
		return true
	}
}

// wild is glob with single wildcards, which stand as NUL in parts.
func wild(parts []string, fold func(string) string) matcher {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for i, p := range parts {
		if i > 0 {
			b.WriteString(".*")
		}
		for j, literal := range strings.Split(p, "\x00") {
			if j > 0 {
				b.WriteByte('.')
			}
			b.WriteString(regexp.QuoteMeta(literal))
		}
	}
	b.WriteString(`\z`)
	re := regexp.MustCompile(b.String())
	return func(value string) bool { return re.MatchString(fold(value)) }
}
