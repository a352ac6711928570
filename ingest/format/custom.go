package format

import (
	"errors"
	"fmt"
	"sync"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/frame"
)

// Custom is a format that a user describes: by the directive of a server, by a
// grok pattern, or by the names of columns. Exactly one of them is set.
type Custom struct {
	Name   string
	Nginx  string // log_format directive, or its string
	Apache string // LogFormat directive, or its string
	Tomcat string // pattern of the access log valve
	Envoy  string // access log format
	Grok   string // pattern, for whole lines
	W3C    string // #Fields line, of logs that come without one
	CSV    string // header, of files that come without one

	Patterns map[string]string // for Grok, before those of the library
}

// Format returns the format that c describes. The error says what is wrong with
// the description.
func (c Custom) Format() (Format, error) {
	f, err := c.format()
	if err != nil {
		return Format{}, fmt.Errorf("format %q: %w", c.Name, err)
	}
	return f, nil
}

func (c Custom) format() (Format, error) {
	if !customName(c.Name) {
		return Format{}, errors.New("its name is not made of 1 to 64 small letters, digits, - and _")
	}
	if _, taken := ByName(c.Name); taken {
		return Format{}, errors.New("there is a format of that name already")
	}
	set := 0
	for _, s := range []string{c.Nginx, c.Apache, c.Tomcat, c.Envoy, c.Grok, c.W3C, c.CSV} {
		if s != "" {
			set++
		}
	}
	if set != 1 {
		return Format{}, errors.New("it is described by exactly one of nginx, apache, tomcat, envoy, grok, w3c and csv")
	}
	switch {
	case c.Nginx != "":
		l, rules, err := compileNginx(c.Nginx)
		if err != nil {
			return Format{}, fmt.Errorf("nginx: %w", err)
		}
		if rules != nil {
			return objects(c.Name, "JSON of an nginx log_format", rules), nil
		}
		return described(c.Name, "lines of an nginx log_format", 99, l), nil
	case c.Apache != "":
		l, err := compileApache(c.Apache, false)
		if err != nil {
			return Format{}, fmt.Errorf("apache: %w", err)
		}
		return described(c.Name, "lines of an Apache LogFormat", 99, l), nil
	case c.Tomcat != "":
		l, err := compileApache(c.Tomcat, true)
		if err != nil {
			return Format{}, fmt.Errorf("tomcat: %w", err)
		}
		return described(c.Name, "lines of a Tomcat access log valve", 99, l), nil
	case c.Envoy != "":
		l, err := compileEnvoy(c.Envoy)
		if err != nil {
			return Format{}, fmt.Errorf("envoy: %w", err)
		}
		return described(c.Name, "lines of an Envoy access log format", 99, l), nil
	case c.Grok != "":
		p, err := compileGrok(c.Grok, c.Patterns)
		if err != nil {
			return Format{}, fmt.Errorf("grok: %w", err)
		}
		return grokFormat(c.Name, p), nil
	case c.W3C != "":
		return headed(c.Name, "W3C lines of given fields", newW3C, w3cFields+" "+trimFields(c.W3C)), nil
	default:
		return headed(c.Name, "CSV of given columns", newCSV, c.CSV), nil
	}
}

func customName(s string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 64
}

// trimFields takes the directive from before the names, if it is there.
func trimFields(s string) string {
	if len(s) > len(w3cFields) && s[:len(w3cFields)] == w3cFields {
		return s[len(w3cFields):]
	}
	return s
}

// headed makes a format whose header is known beforehand. A record looks like it
// if it can be read.
func headed(name, doc string, parser func(Config) (Parser, error), header string) Format {
	make := func(c Config) (Parser, error) {
		p, err := parser(c)
		if err == nil {
			p.(Headed).SetHeader([]byte(header))
		}
		return p, err
	}
	type reader struct {
		Parser
		row tokenwatch.Row
	}
	readers := sync.Pool{New: func() any {
		p, _ := make(Config{}) // neither of the two fails
		return &reader{Parser: p}
	}}
	return Format{Name: name, Doc: doc, Frame: frame.Lines, New: make, Sniff: func(record []byte) int {
		r := readers.Get().(*reader)
		defer readers.Put(r)
		r.row.Reset()
		if r.Parse(record, &r.row) != nil {
			return 0
		}
		return 90
	}}
}
