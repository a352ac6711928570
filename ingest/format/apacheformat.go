package format

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tokenwatch/tokenwatch"
)

// apacheVariables are the directives of one letter that Apache and Tomcat share.
var apacheVariables = map[byte]struct {
	name string
	variable
}{
	'a': {"client_ip", variable{toCol(tokenwatch.ColSrcIP), noSpace}}, 'A': {"local_ip", variable{rule{}, noSpace}}, 'B': {"bytes", variable{toCol(tokenwatch.ColBytesOut), wholeNumber}},
	'b': {"bytes", variable{toCol(tokenwatch.ColBytesOut), wholeNumber}}, 'D': {"duration", variable{toDur(1e3), wholeNumber}}, 'f': {"filename", variable{rule{}, anyText}},
	'F': {"commit_time", variable{rule{}, decimal}}, 'h': {"client", variable{toCol(tokenwatch.ColSrcIP), noSpace}}, 'H': {"protocol", variable{rule{}, noSpace}},
	'I': {"received", variable{toCol(tokenwatch.ColBytesIn), wholeNumber}}, 'k': {"keepalive", variable{rule{}, wholeNumber}}, 'l': {"ident", variable{rule{}, noSpace}},
	'L': {"log_id", variable{rule{}, noSpace}}, 'm': {"method", variable{toCol(tokenwatch.ColMethod), noSpace}}, 'O': {"sent", variable{rule{op: toWeak, col: tokenwatch.ColBytesOut}, wholeNumber}},
	'p': {"server_port", variable{rule{}, wholeNumber}}, 'P': {"pid", variable{rule{}, wholeNumber}}, 'q': {"query", variable{rule{op: toQuery}, anyText}},
	'r': {"request", variable{rule{op: toRequest}, anyText}}, 'R': {"handler", variable{rule{}, noSpace}}, 's': {"status", variable{toCol(tokenwatch.ColStatus), wholeNumber}},
	'S': {"bytes_all", variable{rule{}, wholeNumber}}, 'T': {"duration_s", variable{toDur(1e9), decimal}}, 'u': {"user", variable{rule{op: toUser}, anyText}},
	'U': {"path", variable{rule{op: toURL}, anyText}}, 'v': {"host", variable{toCol(tokenwatch.ColHost), noSpace}}, 'V': {"host", variable{toCol(tokenwatch.ColHost), noSpace}},
	'X': {"connection_status", variable{rule{}, noSpace}},
}

// compileApache makes a layout of a LogFormat directive, or of its string alone;
// of a pattern of Tomcat's access valve, where the same letters differ in a few
// points.
func compileApache(directive string, tomcat bool) (*layout, error) {
	text, err := apacheString(directive)
	if err != nil {
		return nil, err
	}
	if tomcat {
		switch text {
		case "common":
			text = `%h %l %u %t "%r" %s %b`
		case "combined":
			text = `%h %l %u %t "%r" %s %b "%{Referer}i" "%{User-Agent}i"`
		}
	}
	b := builder{}
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			b.literal(text[i])
			continue
		}
		if i++; i < len(text) && text[i] == '%' {
			b.literal('%')
			continue
		}
		for i < len(text) && strings.IndexByte("!<>,0123456789", text[i]) >= 0 {
			i++ // conditions, and which of several requests is meant
		}
		argument, hasArgument := "", false
		if i < len(text) && text[i] == '{' {
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				return nil, errors.New("a brace does not end")
			}
			argument, hasArgument = text[i+1:i+end], true
			i += end + 1
		}
		if i < len(text) && text[i] == '^' {
			i += 2 // trailers: ^ti, ^to
		}
		if i >= len(text) {
			return nil, errors.New("a percent sign without a letter behind it")
		}
		if err := apacheValue(&b, text[i], argument, hasArgument, tomcat); err != nil {
			return nil, err
		}
	}
	return b.build()
}

// apacheValue adds the value of a directive.
func apacheValue(b *builder, letter byte, argument string, hasArgument, tomcat bool) error {
	switch {
	case letter == 't' && !hasArgument:
		b.literal('[')
		b.value("time", toCol(tokenwatch.ColTime), timestamp, 0)
		b.literal(']')
		return nil
	case letter == 't' && b.continuesTime():
		return nil
	case letter == 't':
		format := strings.TrimPrefix(strings.TrimPrefix(argument, "begin:"), "end:")
		switch format {
		case "msec_frac", "usec_frac":
			b.value("time_"+format, rule{}, wholeNumber, 0)
		default: // sec, msec, usec, or a format of strftime
			b.value("time", toCol(tokenwatch.ColTime), timestamp, 0)
		}
		return nil
	case hasArgument && (letter == 'i' || letter == 'o'):
		name := strings.ToLower(argument)
		v := nginxVariable("http_" + strings.ReplaceAll(name, "-", "_"))
		switch name {
		case "user-agent":
			v.rule = toCol(tokenwatch.ColUserAgent)
		case "referer":
			v.rule = rule{op: toReferer}
		case "host":
			v.rule = rule{op: toWeak, col: tokenwatch.ColHost}
		}
		if letter == 'o' {
			r, ok := leafRules[fold(name)]
			if r.incidental = true; !ok {
				r = rule{}
			}
			v = variable{r, anyText}
		}
		b.value(argument, v.rule, anyText, 0)
		return nil
	case hasArgument && (letter == 'C' || letter == 'c' && tomcat):
		b.value("cookie_"+argument, rule{op: toCredential, carrier: "cookie:" + argument}, anyText, 0)
		return nil
	case hasArgument && letter == 'T':
		unit, ok := map[string]int64{"s": 1e9, "ms": 1e6, "us": 1e3}[argument]
		if !ok {
			return fmt.Errorf("the unit of %%{%s}T is s, ms or us", argument)
		}
		b.value("duration", toDur(unit), decimal, 0)
		return nil
	case hasArgument && (letter == 'a' || letter == 'h') && (argument == "c" || argument == "peer"):
		b.value("peer_ip", rule{op: toWeak, col: tokenwatch.ColSrcIP}, noSpace, 0)
		return nil
	case hasArgument && (letter == 'p' || letter == 'P'):
		if letter == 'p' && argument == "remote" {
			b.value("client_port", toCol(tokenwatch.ColSrcPort), wholeNumber, 0)
			return nil
		}
		b.value("port_"+argument, rule{}, noSpace, 0)
		return nil
	case hasArgument && strings.IndexByte("enrxsl", letter|0x20) >= 0: // environment, notes, attributes, modules
		v := nginxVariable(strings.ToLower(argument))
		b.value(argument, v.rule, anyText, 0)
		return nil
	case tomcat && letter == 'D':
		b.value("duration", toDur(1e6), wholeNumber, 0)
		return nil
	case tomcat && letter == 'S':
		b.value("session", rule{op: toCredential, carrier: "cookie:session"}, noSpace, 0)
		return nil
	case letter == 'q':
		n := len(b.cells)
		if n > 0 && len(b.text) == 0 && b.cells[n-1].rule.op == toURL {
			return nil // %U%q is one URL
		}
	}
	v, ok := apacheVariables[letter]
	if !ok {
		return fmt.Errorf("there is no directive %%%c", letter)
	}
	stop := byte(0)
	if letter == 'U' {
		stop = '/'
	}
	b.value(v.name, v.rule, v.kind, stop)
	return nil
}

// apacheString returns the string of a LogFormat or CustomLog directive, or the
// string itself.
func apacheString(s string) (string, error) {
	if len(s) > maxLayout {
		return "", fmt.Errorf("it is longer than %d bytes", maxLayout)
	}
	trimmed := strings.TrimSpace(s)
	if !strings.HasPrefix(trimmed, "LogFormat") && !strings.HasPrefix(trimmed, "CustomLog") {
		return strings.Trim(s, "\r\n"), nil
	}
	words, err := nginxWords(trimmed)
	if err != nil {
		return "", err
	}
	for _, w := range words[1:] {
		if strings.IndexByte(w, '%') >= 0 {
			return w, nil
		}
	}
	return "", errors.New("the directive has no string with a percent sign")
}
