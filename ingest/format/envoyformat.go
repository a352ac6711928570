package format

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tokenwatch/tokenwatch"
)

// envoyVariables are Envoy's command operators without an argument.
var envoyVariables = map[string]variable{
	"START_TIME": {toCol(tokenwatch.ColTime), timestamp}, "START_TIME_LOCAL": {toCol(tokenwatch.ColTime), timestamp}, "PROTOCOL": {rule{}, noSpace},
	"RESPONSE_CODE": {toCol(tokenwatch.ColStatus), wholeNumber}, "BYTES_RECEIVED": {toCol(tokenwatch.ColBytesIn), wholeNumber}, "BYTES_SENT": {toCol(tokenwatch.ColBytesOut), wholeNumber},
	"DURATION": {toDur(1e6), wholeNumber}, "DOWNSTREAM_REMOTE_ADDRESS": {rule{op: toWeak, col: tokenwatch.ColSrcIP, rank: 2}, noSpace},
	"DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": {toCol(tokenwatch.ColSrcIP), noSpace}, "DOWNSTREAM_DIRECT_REMOTE_ADDRESS": {rule{op: toWeak, col: tokenwatch.ColSrcIP, rank: 3}, noSpace},
	"UPSTREAM_CLUSTER": {toCol(tokenwatch.ColService), noSpace}, "UPSTREAM_CLUSTER_RAW": {toCol(tokenwatch.ColService), noSpace}, "STREAM_ID": {rule{op: toWeak, col: tokenwatch.ColRequestID}, noSpace},
	"REQUESTED_SERVER_NAME": {rule{op: toWeak, col: tokenwatch.ColHost}, noSpace}, "DOWNSTREAM_PEER_SUBJECT": {rule{op: toWeak, col: tokenwatch.ColActor}, anyText},
	"DOWNSTREAM_PEER_URI_SAN": {rule{op: toWeak, col: tokenwatch.ColActor, rank: 1}, anyText},
}

// compileEnvoy makes a layout of an access log format of Envoy.
func compileEnvoy(text string) (*layout, error) {
	if len(text) > maxLayout {
		return nil, fmt.Errorf("it is longer than %d bytes", maxLayout)
	}
	text = strings.TrimSuffix(strings.Trim(text, "\r\n"), `\n`)
	b := builder{}
	b.escape = escapeNone
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			b.literal(text[i])
			continue
		}
		if strings.HasPrefix(text[i:], "%%") {
			b.literal('%')
			i++
			continue
		}
		command, argument := "", ""
		j := i + 1
		for j < len(text) && text[j] != '%' && text[j] != '(' && text[j] != ':' {
			j++
		}
		command = text[i+1 : j]
		if j < len(text) && text[j] == '(' {
			end := strings.IndexByte(text[j:], ')')
			if end < 0 {
				return nil, errors.New("a bracket does not end")
			}
			argument = text[j+1 : j+end]
			j += end + 1
		}
		for j < len(text) && text[j] != '%' { // :length
			j++
		}
		if j >= len(text) || command == "" {
			return nil, errors.New("an operator does not end with a percent sign")
		}
		i = j
		name, v, stop := envoyVariable(command, argument)
		b.value(name, v.rule, v.kind, stop)
	}
	return b.build()
}

// envoyVariable returns what becomes of an operator, and what its value begins with.
func envoyVariable(command, argument string) (string, variable, byte) {
	switch command {
	case "REQ", "REQUEST_HEADER":
		first, _, _ := strings.Cut(argument, "?")
		name := strings.ToLower(first)
		switch name {
		case ":method":
			return "method", variable{toCol(tokenwatch.ColMethod), noSpace}, 0
		case ":path", "x-envoy-original-path":
			return "path", variable{rule{op: toURL}, anyText}, '/'
		case ":authority", "host":
			return "authority", variable{toCol(tokenwatch.ColHost), anyText}, 0
		case ":scheme":
			return "scheme", variable{toCol(tokenwatch.ColScheme), noSpace}, 0
		case "user-agent":
			return "user_agent", variable{toCol(tokenwatch.ColUserAgent), anyText}, 0
		case "x-request-id":
			return "request_id", variable{toCol(tokenwatch.ColRequestID), anyText}, 0
		case "x-forwarded-for":
			return "x_forwarded_for", variable{rule{op: toWeak, col: tokenwatch.ColSrcIP, rank: 1}, anyText}, 0
		case "referer":
			return "referer", variable{rule{op: toReferer}, anyText}, 0
		}
		v := nginxVariable("http_" + strings.ReplaceAll(name, "-", "_"))
		return name, variable{v.rule, anyText}, 0
	case "RESP", "TRAILER", "RESPONSE_HEADER":
		name := strings.ToLower(argument)
		r, ok := leafRules[fold(name)]
		if r.incidental = true; !ok {
			r = rule{}
		}
		return name, variable{r, anyText}, 0
	}
	if v, ok := envoyVariables[command]; ok {
		return strings.ToLower(command), v, 0
	}
	return strings.ToLower(command + argument), variable{rule{}, anyText}, 0
}
