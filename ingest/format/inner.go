package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// formats is All, for the parsers of records within others.
var formats []Format

// All names the parsers, and some of them look through All: the knot is tied here.
func init() { formats = All }

// Bounds of records within records.
const (
	maxInner     = 3    // levels
	maxInnerApps = 1024 // whose format is remembered
)

// inner reads a record that stands within another: the message of a syslog line,
// the line of a container. Which format it has is found out for each
// application by itself, since an envelope carries many; an application's last
// format is tried first.
type inner struct {
	config  Config
	parsers []Parser // by place in Custom and All, made when first needed
	last    map[string]int
	trial   tokenwatch.Row
}

// newInner returns an inner for records in envelopes that have a time; nil where
// there are too many around already.
func newInner(c Config) *inner {
	if c.depth >= maxInner {
		return nil
	}
	c.depth++
	c.enclosed = true
	return &inner{config: c, parsers: make([]Parser, len(c.Custom)+len(formats)), last: make(map[string]int)}
}

// read fills row, which is empty, from a message if a format reads it, and
// returns the format's name. ErrNoRecord is the parser's; any other error says
// that no format reads it, and leaves the row empty.
func (in *inner) read(app, message []byte, row *tokenwatch.Row) error {
	if in == nil {
		return errNoFormat
	}
	if i, ok := in.last[string(app)]; ok && formatAt(in.config.Custom, i).Sniff(message) > 0 {
		if err := in.parse(i, message, row); err == nil || err == ErrNoRecord {
			return err
		}
		row.Forget()
	}
	i := in.choose(message)
	if i < 0 {
		return errNoFormat
	}
	if _, ok := in.last[string(app)]; !ok && len(in.last) >= maxInnerApps {
		clear(in.last)
	}
	in.last[string(app)] = i
	if err := in.parse(i, message, row); err != nil {
		if err != ErrNoRecord {
			row.Forget()
		}
		return err
	}
	return nil
}

// Mixed reads records of any format, each by the one it looks most like. It is
// for what a source of one format sends besides: an error log among access logs.
// It is not safe for use from several goroutines.
type Mixed struct{ inner *inner }

// NewMixed returns a Mixed for parsers that are told c.
func NewMixed(c Config) *Mixed {
	return &Mixed{&inner{config: c, parsers: make([]Parser, len(c.Custom)+len(formats)), last: make(map[string]int)}}
}

// Parse fills row, which is Reset, from record, and says in the row's format by
// which one. It is a Parser.
func (m *Mixed) Parse(record []byte, row *tokenwatch.Row) error {
	if len(record) > sampleBytes {
		return errNoFormat // what is only looked at by its beginning
	}
	return m.inner.read(nil, record, row)
}

// fits tells whether a format is likely to read a message.
func (in *inner) fits(app, message []byte) bool {
	if len(message) < minMessage {
		return false
	}
	if i, ok := in.last[string(app)]; ok && formatAt(in.config.Custom, i).Sniff(message) > 0 {
		return true
	}
	return in.choose(message) >= 0
}

var errNoFormat = reject(tokenwatch.ReasonUnknown, "no format reads the message")

// choose finds the format of a message, -1 if there is none: of those that read
// it the one it looks most like.
func (in *inner) choose(message []byte) int {
	head := message[:min(len(message), sampleBytes)]
	var looks [256]uint8
	n := min(len(in.parsers), len(looks))
	for i := range n {
		looks[i] = uint8(formatAt(in.config.Custom, i).Sniff(head))
	}
	for {
		best := 0
		for i, look := range looks[:n] {
			if look > looks[best] {
				best = i
			}
		}
		if looks[best] == 0 {
			return -1
		}
		looks[best] = 0
		in.trial.Reset()
		if err := in.parse(best, message, &in.trial); err == nil || err == ErrNoRecord {
			return best
		}
	}
}

func (in *inner) parse(i int, message []byte, row *tokenwatch.Row) error {
	f := formatAt(in.config.Custom, i)
	if in.parsers[i] == nil {
		p, err := f.New(in.config)
		if err != nil {
			return errNoFormat
		}
		in.parsers[i] = p
	}
	if err := in.parsers[i].Parse(message, row); err != nil {
		return err
	}
	if !row.Has(tokenwatch.ColFormat) {
		row.SetString(tokenwatch.ColFormat, f.Name)
	}
	return nil
}

// envelope is what a record around another says of it.
type envelope struct {
	format  string
	time    int64
	timed   bool
	host    []byte
	app     []byte
	message []byte
}

// open fills row from the record in an envelope, and from the envelope what that
// lacks. A message that no format reads becomes an attr.
func (e *envelope) open(in *inner, row *tokenwatch.Row) error {
	message := bytes.TrimRight(e.message, " \t\r\n")
	err := errNoFormat
	if len(message) > 0 {
		if err = in.read(e.app, message, row); err == ErrNoRecord {
			return err
		}
	}
	if err == nil {
		e.name(row)
	} else if len(message) > 0 {
		row.AddAttr(row.Keep("message"), message)
	}
	if !row.Has(tokenwatch.ColTime) {
		if !e.timed {
			return reject(tokenwatch.ReasonNoTime, "neither the message nor what is around it has a time")
		}
		row.SetInt(tokenwatch.ColTime, e.time)
	}
	setOnce(row, tokenwatch.ColHost, e.host)
	setOnce(row, tokenwatch.ColService, e.app)
	return nil
}

// name makes the row's format that of the envelope and what is in it.
func (e *envelope) name(row *tokenwatch.Row) {
	of := row.Text(tokenwatch.ColFormat)
	row.SetText(tokenwatch.ColFormat, row.Build(func(b []byte) []byte { return append(append(append(b, e.format...), '+'), of...) }))
}
