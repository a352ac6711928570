package enginetest

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// Start is where the scenarios' time begins: a Monday.
var Start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// Traffic makes events of a scenario, one line of which is a stream of them:
//
//	token=a every=5m for=7d asn=64500 agent=curl action=items.get class=read
//	token=a every=5s for=10m at=7d asn=64999 action=items.{n}
//
// every (1m) is the time between events, at (0) when the first comes and for
// (1h) how long they last; hours=9-17 leaves other hours of the day out. {n} in a
// value is the number of the event, so that each event has a value of its own.
// copies (1) is how many such streams there are, a second after one another; {c} in
// a value is the number of the stream, from 0.
// The other fields are columns: token, kind (of the token), actor, actor_kind,
// ip, asn, country, cloud, agent, user_agent, route, path, action, class, scope,
// outcome, status, bytes, source.
//
// A line with fact=revoked (or another kind of fact) is an audit trail's: it tells
// that of the token named by of, with until (a duration from the event on),
// scopes=a,b and previous where the fact has them.
//
// own=kind:value,… are names that the token's id is made of; named=kind:value,… are
// names that the event gives its token, or that of its fact.
//
// The events come in order of time, and each has a request id. Lines that begin
// with "inventory" are left to [Inventory], those with "verdict" to [Verdicts], those
// with "link" to [Links].
func Traffic(lines string) ([]Event, error) {
	var events []Event
	for i, line := range strings.Split(lines, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, inventoryLine) || strings.HasPrefix(line, verdictLine) || strings.HasPrefix(line, linkLine) {
			continue
		}
		stream, err := parseStream(line)
		if err != nil {
			return nil, fmt.Errorf("traffic line %d: %w", i+1, err)
		}
		for c := range stream.copies {
			events = append(events, stream.events(i, c)...)
		}
	}
	slices.SortStableFunc(events, func(a, b Event) int { return a.Time.Compare(b.Time) })
	return events, nil
}

// Event is one event of a scenario: its time and its columns, as text.
type Event struct {
	Time   time.Time
	Fields map[string]string
	Fact   *tokenwatch.Fact // Row is left to Batch
	Names  []tokenwatch.Naming
}

type stream struct {
	every, at, lasts time.Duration
	from, to         int // hours of the day
	fields           map[string]string
	own, named       []tokenwatch.Alias
	fact             *tokenwatch.Fact
	until            time.Duration
	copies           int
}

func parseStream(line string) (stream, error) {
	s := stream{every: time.Minute, lasts: time.Hour, from: 0, to: 24, copies: 1, fields: map[string]string{}}
	for _, field := range strings.Fields(line) {
		name, value, ok := strings.Cut(field, "=")
		if !ok {
			return s, fmt.Errorf("%q is not name=value", field)
		}
		var err error
		switch name {
		case "every":
			s.every, err = duration(value)
		case "at":
			s.at, err = duration(value)
		case "for":
			s.lasts, err = duration(value)
		case "fact":
			s.about().Kind = tokenwatch.FactKind(value)
		case "of":
			s.about().Token = tokenwatch.TokenID(value)
		case "previous":
			s.about().Previous = tokenwatch.TokenID(value)
		case "own":
			s.own, err = aliases(value)
		case "named":
			s.named, err = aliases(value)
		case "scopes":
			s.about().Scopes = strings.Split(value, ",")
		case "until":
			s.until, err = duration(value)
		case "copies":
			s.copies, err = strconv.Atoi(value)
		case "hours":
			_, err = fmt.Sscanf(value, "%d-%d", &s.from, &s.to)
		default:
			if _, ok := columns[name]; !ok {
				return s, fmt.Errorf("unknown field %q", name)
			}
			s.fields[name] = value
		}
		if err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
	}
	return s, nil
}

// aliases reads names: kind:value,kind:value.
func aliases(list string) (out []tokenwatch.Alias, err error) {
	for word := range strings.SplitSeq(list, ",") {
		kind, value, ok := strings.Cut(word, ":")
		if !ok {
			return nil, fmt.Errorf("%q is not kind:value", word)
		}
		out = append(out, tokenwatch.Alias{Kind: tokenwatch.NameKind(kind), Value: value})
	}
	return out, nil
}

func (s *stream) about() *tokenwatch.Fact {
	if s.fact == nil {
		s.fact = &tokenwatch.Fact{}
	}
	return s.fact
}

const inventoryLine = "inventory "

// Inventory makes the control record of the inventory that lines tell of:
//
//	inventory token=a created=500d used=400d scopes=items:read networks=10.0.0.0/8 purpose=honeytoken
//
// created and used are so long before Start. It returns nil if there is no such line.
func Inventory(lines string) (*tokenwatch.Control, error) {
	t := tokenwatch.Table{Name: tokenwatch.TableInventory}
	for line := range strings.SplitSeq(lines, "\n") {
		line, ok := strings.CutPrefix(strings.TrimSpace(line), inventoryLine)
		if !ok {
			continue
		}
		var in tokenwatch.InventoryToken
		for _, field := range strings.Fields(line) {
			name, value, _ := strings.Cut(field, "=")
			var err error
			var d time.Duration
			switch name {
			case "token":
				in.Lineage, in.Keys = "inventory of "+value, []tokenwatch.InventoryKey{{Token: tokenwatch.TokenID(value)}}
			case "created":
				d, err = duration(value)
				in.Created = Start.Add(-d).UnixNano()
			case "used":
				d, err = duration(value)
				in.LastUsed = Start.Add(-d).UnixNano()
			case "scopes":
				in.Scopes = strings.Split(value, ",")
			case "purpose":
				in.Purpose = value
			case "networks":
				in.Networks = strings.Split(value, ",")
			default:
				err = fmt.Errorf("unknown field")
			}
			if err != nil {
				return nil, fmt.Errorf("inventory: %s: %w", name, err)
			}
		}
		t.Tokens = append(t.Tokens, in)
	}
	if len(t.Tokens) == 0 {
		return nil, nil
	}
	t.Entries = len(t.Tokens)
	return t.Control(), nil
}

const verdictLine = "verdict "

// Verdict is what somebody says, at a time, of the last finding about a token.
type Verdict struct {
	At    time.Time
	Token string
	As    string
}

// Verdicts reads the lines that tell of verdicts, in order; none takes one back:
//
//	verdict at=8d token=a as=false_positive
func Verdicts(lines string) ([]Verdict, error) {
	var out []Verdict
	for line := range strings.SplitSeq(lines, "\n") {
		line, ok := strings.CutPrefix(strings.TrimSpace(line), verdictLine)
		if !ok {
			continue
		}
		var v Verdict
		for _, field := range strings.Fields(line) {
			name, value, _ := strings.Cut(field, "=")
			switch name {
			case "at":
				d, err := duration(value)
				if err != nil {
					return nil, fmt.Errorf("verdict: at: %w", err)
				}
				v.At = Start.Add(d)
			case "token":
				v.Token = value
			case "as":
				if v.As = value; value == "none" {
					v.As = tokenwatch.VerdictNone
				}
			default:
				return nil, fmt.Errorf("verdict: unknown field %q", name)
			}
		}
		out = append(out, v)
	}
	return out, nil
}

const linkLine = "link "

// Link is what somebody says, at a time, of two tokens.
type Link struct {
	At time.Time
	tokenwatch.Link
}

// Links reads the lines that tell of links, in order:
//
//	link at=8d kind=same a=x b=y
func Links(lines string) ([]Link, error) {
	var out []Link
	for line := range strings.SplitSeq(lines, "\n") {
		line, ok := strings.CutPrefix(strings.TrimSpace(line), linkLine)
		if !ok {
			continue
		}
		l := Link{Link: tokenwatch.Link{Confidence: 100, By: "key_1"}}
		for _, field := range strings.Fields(line) {
			name, value, _ := strings.Cut(field, "=")
			switch name {
			case "at":
				d, err := duration(value)
				if err != nil {
					return nil, fmt.Errorf("link: at: %w", err)
				}
				l.At = Start.Add(d)
			case "kind":
				l.Kind = value
			case "a":
				l.A = tokenwatch.TokenID(value)
			case "b":
				l.B = tokenwatch.TokenID(value)
			default:
				return nil, fmt.Errorf("link: unknown field %q", name)
			}
		}
		out = append(out, l)
	}
	return out, nil
}

// duration reads a time.Duration that may begin with days: 7d, 1d12h.
func duration(s string) (time.Duration, error) {
	var days time.Duration
	if d, rest, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.Atoi(d)
		if err != nil {
			return 0, err
		}
		days, s = time.Duration(n)*24*time.Hour, rest
	}
	if s == "" || s == "0" {
		return days, nil
	}
	d, err := time.ParseDuration(s)
	return days + d, err
}

func (s stream) events(line, c int) []Event {
	var out []Event
	n := 0
	for at := s.at; at < s.at+s.lasts; at += s.every {
		t := Start.Add(at + time.Duration(c)*time.Second)
		if t.Hour() < s.from || t.Hour() >= s.to {
			continue
		}
		id := fmt.Sprintf("r%d-%d", line, n)
		if s.copies > 1 {
			id += "-" + strconv.Itoa(c)
		}
		fields := map[string]string{"request_id": id}
		for name, value := range s.fields {
			value = strings.ReplaceAll(value, "{c}", strconv.Itoa(c))
			fields[name] = strings.ReplaceAll(value, "{n}", strconv.Itoa(n))
		}
		e := Event{Time: t, Fields: fields}
		if s.fact != nil {
			f := *s.fact
			if s.until != 0 {
				f.Until = t.Add(s.until).UnixNano()
			}
			e.Fact = &f
		}
		for _, a := range s.own {
			a.Value = strings.ReplaceAll(a.Value, "{c}", strconv.Itoa(c))
			e.Names = append(e.Names, tokenwatch.Naming{Token: tokenwatch.TokenID(fields["token"]), Alias: a})
		}
		whose := tokenwatch.TokenID(fields["token"])
		if s.fact != nil {
			whose = s.fact.Token
		}
		for _, a := range s.named {
			e.Names = append(e.Names, tokenwatch.Naming{Token: whose, Alias: a, Hour: int32(t.Unix() / 3600)})
		}
		out = append(out, e)
		n++
	}
	return out
}

var columns = map[string]tokenwatch.Col{
	"token": tokenwatch.ColToken, "kind": tokenwatch.ColTokenKind, "actor": tokenwatch.ColActor,
	"actor_kind": tokenwatch.ColActorKind, "ip": tokenwatch.ColSrcIP, "asn": tokenwatch.ColSrcASN,
	"cloud": tokenwatch.ColSrcCloud, "agent": tokenwatch.ColAgentFamily, "route": tokenwatch.ColRoute,
	"action": tokenwatch.ColAction, "class": tokenwatch.ColActionClass, "outcome": tokenwatch.ColOutcome,
	"status": tokenwatch.ColStatus, "path": tokenwatch.ColPath, "bytes": tokenwatch.ColBytesOut, "scope": tokenwatch.ColScope,
	"user_agent": tokenwatch.ColUserAgent, "country": tokenwatch.ColSrcCountry, "source": tokenwatch.ColSource, "request_id": tokenwatch.ColRequestID,
}

// Batch makes a sealed batch of events.
func Batch(events []Event) *tokenwatch.Batch {
	var b tokenwatch.Builder
	var row tokenwatch.Row
	var facts []tokenwatch.Fact
	for i, e := range events {
		for _, n := range e.Names {
			b.AddName(n)
		}
		if e.Fact != nil {
			f := *e.Fact
			f.Row = i
			facts = append(facts, f)
		}
		row.Reset()
		row.SetInt(tokenwatch.ColTime, e.Time.UnixNano())
		for name, value := range e.Fields {
			c := columns[name]
			switch c.Kind() {
			case tokenwatch.KindAddr:
				row.SetAddr(netip.MustParseAddr(value))
			case tokenwatch.KindInt:
				n, err := strconv.ParseInt(value, 10, 64)
				if err != nil {
					panic(err)
				}
				row.SetInt(c, n)
			default:
				row.SetString(c, value)
			}
		}
		b.Append(&row)
	}
	batch, err := b.Batch().WithFacts(facts)
	if err != nil {
		panic(err)
	}
	return batch
}
