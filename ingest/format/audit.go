package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/frame"
)

const jsonFrame = frame.JSONValues

// auditParser reads the records of a product by its table.
type auditParser struct {
	walker
	t    *table
	memo map[string]*meaning // of actions seen lately
}

func newAuditParser(t *table) auditParser {
	a := auditParser{t: t, memo: make(map[string]*meaning)}
	a.walker = newWalker(t.rules)
	a.lenient, a.wild, a.keeps, a.each = true, true, make([][]byte, len(t.kept)), t.each
	return a
}

// Bounds of what a parser remembers of the meaning of actions.
const (
	maxMemo       = 4096
	maxMemoAction = 256 // bytes
)

// Parse fills row from a record.
func (p *auditParser) Parse(record []byte, row *tokenwatch.Row) error {
	if err := p.read(record, row); err != nil {
		return err
	}
	if inner := p.text(p.t.inner); inner != nil && firstByte(inner) == '{' {
		if err := p.read(inner, row); err != nil {
			return err
		}
	}
	return p.complete()
}

// complete does what needs the record as a whole.
func (p *auditParser) complete() error {
	p.settleList()
	p.settle()
	if p.untimed && !p.row.Has(tokenwatch.ColTime) {
		return reject(tokenwatch.ReasonNoTime, "no field holds a time that can be read")
	}
	if p.t.derive != nil {
		p.t.derive(p)
	}
	row := p.row
	if given := row.Text(tokenwatch.ColOutcome); given != nil {
		switch o, ok := p.t.outcomes[string(given)]; {
		case ok:
			row.SetString(tokenwatch.ColOutcome, o)
		case bytes.EqualFold(given, []byte("true")):
			row.SetString(tokenwatch.ColOutcome, "success")
		case bytes.EqualFold(given, []byte("false")):
			row.SetString(tokenwatch.ColOutcome, "failure")
		}
	}
	m := p.meaning(row.Text(tokenwatch.ColAction))
	if m != nil {
		for _, c := range []struct {
			col  tokenwatch.Col
			text string
		}{{tokenwatch.ColActionClass, m.class}, {tokenwatch.ColOutcome, m.outcome}, {tokenwatch.ColError, m.err}} {
			if c.text != "" && !row.Has(c.col) {
				row.SetString(c.col, c.text)
			}
		}
	}
	if !row.Has(tokenwatch.ColOutcome) {
		row.SetString(tokenwatch.ColOutcome, outcomeOf(row))
	}
	if p.t.finish != nil {
		p.t.finish(p)
	}
	p.settleFacts(m)
	return nil
}

// outcomeOf tells how an event ended that names no outcome: by its status or its
// error, and that it happened if it has neither.
func outcomeOf(row *tokenwatch.Row) string {
	switch status := row.Int(tokenwatch.ColStatus); {
	case status == 401 || status == 403 || status == 407:
		return "denied"
	case status >= 400, status < 100 && row.Has(tokenwatch.ColError):
		return "failure"
	}
	return "success"
}

// meaning looks an action up.
func (p *auditParser) meaning(action []byte) *meaning {
	m, ok := p.memo[string(action)]
	if !ok {
		m = p.t.of(action)
		if len(action) > maxMemoAction {
			return m
		}
		if len(p.memo) >= maxMemo {
			clear(p.memo)
		}
		p.memo[string(action)] = m
	}
	return m
}

// text returns what was kept under a name.
func (p *auditParser) text(name string) []byte {
	for i, n := range p.t.kept {
		if n == name {
			return p.keeps[i]
		}
	}
	return nil
}

// join gives a column the parts, one behind the other.
func (p *auditParser) join(c tokenwatch.Col, parts ...[]byte) {
	p.row.SetText(c, p.row.Build(func(b []byte) []byte {
		for _, part := range parts {
			b = append(b, part...)
		}
		return b
	}))
}

// line returns the parts that are not empty with sep between them.
func (p *auditParser) line(sep byte, parts ...[]byte) []byte {
	begun := false
	return p.row.Build(func(b []byte) []byte {
		for _, part := range parts {
			if len(part) == 0 {
				continue
			}
			if begun {
				b = append(b, sep)
			}
			b, begun = append(b, part...), true
		}
		return b
	})
}

// set gives a column a constant.
func (p *auditParser) set(c tokenwatch.Col, s string) { p.row.SetString(c, s) }

// or gives a column a value if it has none.
func (p *auditParser) or(c tokenwatch.Col, v []byte) {
	if !p.row.Has(c) {
		p.row.SetText(c, v)
	}
}

// attr adds an attr if v is not empty.
func (p *auditParser) attr(key string, v []byte) {
	if len(v) > 0 {
		p.row.AddAttr(p.row.Keep(key), v)
	}
}

// listed is a list of names and values that is being read.
type listed struct {
	item  []byte // the item the name is of, as written
	key   []byte
	early []early // values that came before their name
}

// listValue is a list of names and values: its path, folded and as the table writes
// it, and which of several values of an item is meant.
type listValue struct{ base, shown, which string }

func listOf(r *rule) listValue { return listValue{r.base, r.carrier, r.issuer} }

type early struct {
	list  listValue
	full  []byte
	value []byte
}

// special takes a value by one of the rules that only products have.
func (w *walker) special(f *field, r *rule, v []byte, number bool) bool {
	switch r.op {
	case toKept:
		if w.keeps[r.kept] != nil {
			return bytes.Equal(w.keeps[r.kept], v) // of several the first is meant; others are shown
		}
		w.keeps[r.kept] = v
		return true
	case toFact:
		return w.holdFact(f, r, v)
	case toJSON:
		if first := firstByte(v); first == '{' || first == '[' {
			return w.within(f, v)
		}
		carrier, ok := carrierRule(f.path) // a header's name may be that of an object
		return ok && w.apply(f, &carrier, v, number)
	case toKey:
		l := &w.list
		l.item = append(l.item[:0], f.full[:bytes.LastIndexByte(f.full, '.')]...)
		l.key = v
		rest := l.early[:0]
		for _, e := range l.early {
			if w.inItem(e.full) {
				w.listedValue(e.list, v, e.value)
				continue
			}
			rest = append(rest, e)
		}
		l.early = rest
		return true
	default: // toValue
		if w.inItem(f.full) {
			w.listedValue(listOf(r), w.list.key, v)
			return true
		}
		if len(w.list.early) < maxKeptItem {
			w.list.early = append(w.list.early, early{listOf(r), w.key(f), v})
			return true
		}
		return false
	}
}

// inItem tells whether a path lies in the item whose name is known.
func (w *walker) inItem(full []byte) bool {
	l := &w.list
	return l.key != nil && len(full) > len(l.item) && full[len(l.item)] == '.' && bytes.HasPrefix(full, l.item)
}

// listedValue takes the value of an item by the rule of its name.
func (w *walker) listedValue(l listValue, key, v []byte) {
	full := w.row.Build(func(b []byte) []byte {
		b = append(append(append(b, l.shown...), '.'), key...)
		if l.which != "" {
			b = append(append(b, '.'), l.which...)
		}
		return b
	})
	w.virtual = append(appendFolded(append(append(w.virtual[:0], l.base...), '['), key), ']')
	if l.which != "" {
		w.virtual = append(append(w.virtual, ':'), l.which...)
	}
	f := field{path: w.virtual, full: full, ruled: true}
	if r, ok := w.rules[string(w.virtual)]; ok {
		f.rule = r
	} else if r, ok := carrierRule(key); ok && l.which == "" {
		f.rule = r
	}
	w.leaf(&f, v, false)
}

// settleList keeps as attrs the values that no name came for.
func (w *walker) settleList() {
	for _, e := range w.list.early {
		w.row.AddAttr(e.full, e.value)
	}
	w.list.early, w.list.key = w.list.early[:0], nil
}
