package format

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/frame"
)

// variable is what becomes of a value of a directive.
type variable struct {
	rule rule
	kind kind
}

// nginxVariables are nginx's, without those of a prefix. Others go by their
// name, as a field of a JSON object would.
var nginxVariables = map[string]variable{
	"remote_addr": {toCol(tokenwatch.ColSrcIP), noSpace}, "binary_remote_addr": {rule{op: toNothing}, anyText}, "remote_port": {toCol(tokenwatch.ColSrcPort), wholeNumber},
	"remote_user": {rule{op: toUser}, anyText}, "time_local": {toCol(tokenwatch.ColTime), timestamp}, "time_iso8601": {toCol(tokenwatch.ColTime), timestamp},
	"msec": {toCol(tokenwatch.ColTime), decimal}, "request": {rule{op: toRequest}, anyText}, "request_method": {toCol(tokenwatch.ColMethod), noSpace},
	"request_uri": {rule{op: toURL}, anyText}, "uri": {rule{op: toURL}, anyText}, "document_uri": {rule{op: toURL}, anyText}, "args": {rule{op: toQuery}, anyText},
	"query_string": {rule{op: toQuery}, anyText}, "status": {toCol(tokenwatch.ColStatus), wholeNumber}, "body_bytes_sent": {toCol(tokenwatch.ColBytesOut), wholeNumber},
	"bytes_sent": {rule{op: toWeak, col: tokenwatch.ColBytesOut}, wholeNumber}, "request_length": {toCol(tokenwatch.ColBytesIn), wholeNumber},
	"request_time": {toDur(1e9), decimal}, "host": {toCol(tokenwatch.ColHost), noSpace}, "http_host": {toCol(tokenwatch.ColHost), noSpace},
	"server_name": {rule{op: toWeak, col: tokenwatch.ColHost}, noSpace}, "scheme": {toCol(tokenwatch.ColScheme), noSpace}, "request_id": {toCol(tokenwatch.ColRequestID), noSpace},
	"request_body": {rule{op: toAttr}, anyText}, "https": {rule{}, noSpace}, "server_protocol": {rule{}, noSpace}, "server_port": {rule{}, wholeNumber}, "server_addr": {rule{}, noSpace},
	"connection": {rule{}, wholeNumber}, "connection_requests": {rule{}, wholeNumber}, "pipe": {rule{}, noSpace}, "hostname": {rule{op: toWeak, col: tokenwatch.ColHost, rank: 2}, noSpace},
	"pid": {rule{}, wholeNumber}, "gzip_ratio": {rule{}, decimal}, "proxy_add_x_forwarded_for": {rule{op: toWeak, col: tokenwatch.ColSrcIP}, valueList},
	"upstream_cache_status": {rule{}, noSpace}, "upstream_status": {rule{}, valueList},
}

// nginxVariable returns what becomes of a variable.
func nginxVariable(name string) variable {
	if v, ok := nginxVariables[name]; ok {
		return v
	}
	var leaf string
	incidental := false
	switch {
	case strings.HasPrefix(name, "cookie_"):
		return variable{rule{op: toCredential, carrier: "cookie:" + name[len("cookie_"):]}, anyText}
	case strings.HasPrefix(name, "arg_"):
		if carrier, ok := query.carriers[strings.ToLower(name[len("arg_"):])]; ok {
			return variable{rule{op: toCredential, carrier: carrier}, anyText}
		}
		return variable{rule{}, anyText}
	case strings.HasPrefix(name, "http_"):
		leaf = name[len("http_"):]
	case strings.HasPrefix(name, "sent_http_"), strings.HasPrefix(name, "upstream_http_"), strings.HasPrefix(name, "upstream_cookie_"):
		leaf, incidental = name[strings.LastIndex(name, "http_")+len("http_"):], true
		if strings.HasPrefix(name, "upstream_cookie_") {
			leaf = "set_cookie"
		}
	case strings.HasPrefix(name, "jwt_claim_"):
		leaf = name[len("jwt_claim_"):]
	case strings.HasPrefix(name, "upstream_"):
		return variable{rule{}, valueList}
	default:
		leaf = name
	}
	if r, ok := leafRules[fold(leaf)]; ok {
		r.incidental = r.incidental || incidental
		return variable{r, anyText}
	}
	if incidental {
		return variable{rule{}, anyText}
	}
	return variable{jsonRules[fold(leaf)], anyText}
}

// compileNginx makes a layout of a log_format directive, or of its string alone.
// One whose string is a JSON object gives the rules of its members instead.
func compileNginx(directive string) (*layout, map[string]rule, error) {
	text, esc, err := nginxString(directive)
	if err != nil {
		return nil, nil, err
	}
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		rules, err := nginxMembers(text)
		return nil, rules, err
	}
	b := builder{}
	b.escape = esc
	for i := 0; i < len(text); i++ {
		if text[i] != '$' {
			b.literal(text[i])
			continue
		}
		name, n := nginxName(text[i+1:])
		if n == 0 {
			return nil, nil, errors.New("a dollar sign without a name behind it")
		}
		i += n
		stop := byte(0)
		switch name {
		case "request_uri", "uri", "document_uri":
			stop = '/'
			if rest := text[i+1:]; strings.HasPrefix(rest, "$is_args$args") {
				i += len("$is_args$args")
			} else if strings.HasPrefix(rest, "$is_args$query_string") {
				i += len("$is_args$query_string")
			}
		}
		v := nginxVariable(name)
		b.value(name, v.rule, v.kind, stop)
	}
	l, err := b.build()
	return l, nil, err
}

// nginxName reads a name behind a dollar sign, also in braces.
func nginxName(s string) (name string, n int) {
	if strings.HasPrefix(s, "{") {
		end := strings.IndexByte(s, '}')
		if end < 2 {
			return "", 0
		}
		return s[1:end], end + 1
	}
	for n < len(s) && (s[n] == '_' || s[n] >= '0' && s[n] <= '9' || s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z') {
		n++
	}
	return s[:n], n
}

// nginxString returns the string of a directive and how its values are escaped.
func nginxString(s string) (string, escape, error) {
	if len(s) > maxLayout {
		return "", 0, fmt.Errorf("it is longer than %d bytes", maxLayout)
	}
	trimmed := strings.TrimSpace(s)
	if !strings.HasPrefix(trimmed, "log_format") {
		return strings.Trim(s, "\r\n"), escapeX, nil
	}
	words, err := nginxWords(strings.TrimSuffix(trimmed, ";"))
	if err != nil {
		return "", 0, err
	}
	if len(words) < 3 {
		return "", 0, errors.New("log_format needs a name and a string")
	}
	words = words[2:]
	esc := escapeX
	if mode, ok := strings.CutPrefix(words[0], "escape="); ok {
		switch mode {
		case "default":
		case "json":
			esc = escapeJSON
		case "none":
			esc = escapeNone
		default:
			return "", 0, errors.New("escape is default, json or none")
		}
		words = words[1:]
	}
	return strings.Join(words, ""), esc, nil
}

// nginxWords cuts a directive as nginx does: at spaces, but for quotes.
func nginxWords(s string) ([]string, error) {
	var out []string
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			i++
		case c == '\'' || c == '"':
			var b bytes.Buffer
			j := i + 1
			for ; j < len(s) && s[j] != c; j++ {
				if s[j] == '\\' && j+1 < len(s) {
					switch j++; s[j] {
					case 't':
						b.WriteByte('\t')
						continue
					case 'n':
						b.WriteByte('\n')
						continue
					case 'r':
						b.WriteByte('\r')
						continue
					case '"', '\'', '\\':
					default:
						b.WriteByte('\\')
					}
				}
				b.WriteByte(s[j])
			}
			if j == len(s) {
				return nil, errors.New("a quote does not end")
			}
			out = append(out, b.String())
			i = j + 1
		default:
			j := i
			for j < len(s) && strings.IndexByte(" \t\r\n", s[j]) < 0 {
				j++
			}
			out = append(out, s[i:j])
			i = j
		}
	}
	return out, nil
}

// nginxMembers returns the rules of the members of an object that a string
// describes: {"ip":"$remote_addr","status":$status}.
func nginxMembers(text string) (map[string]rule, error) {
	rules := map[string]rule{}
	var path []string
	key := ""
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '{':
			if key != "" {
				path = append(path, key)
			}
			key = ""
		case '}':
			if len(path) > 0 {
				path = path[:len(path)-1]
			}
		case ',':
			key = ""
		case '"':
			end := strings.IndexByte(text[i+1:], '"')
			if end < 0 {
				return nil, errors.New("a quote does not end")
			}
			s := text[i+1 : i+1+end]
			i += end + 1
			if key == "" {
				key = s
				continue
			}
			nginxMember(rules, path, key, s)
		case '$':
			name, n := nginxName(text[i+1:])
			nginxMember(rules, path, key, "$"+name)
			i += n
		}
	}
	if len(rules) == 0 {
		return nil, errors.New("no member of the object has a variable")
	}
	return rules, nil
}

func nginxMember(rules map[string]rule, path []string, key, value string) {
	name, n := "", 0
	if strings.HasPrefix(value, "$") {
		name, n = nginxName(value[1:])
	}
	if n == 0 || n+1 != len(value) {
		return // of several variables, or of none
	}
	r := nginxVariable(name).rule
	r.incidental = r.incidental || incidentalCarriers[r.carrier]
	rules[fold(strings.Join(append(path[:len(path):len(path)], key), "."))] = r
}

// objects makes a format of JSON objects some of whose members have rules of their own.
func objects(name, doc string, rules map[string]rule) Format {
	return Format{Name: name, Doc: doc, Frame: frame.JSONValues, New: newObjects(rules), Sniff: sniffJSON}
}
