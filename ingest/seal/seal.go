package seal

import (
	"bytes"
	"math/bits"
	"slices"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// Config says how a source is sealed. The zero value works.
type Config struct {
	DropAttrs bool // keep the schema's columns only
	Cache     int  // how many credentials to remember the ids of; 0 is 65536
}

// Sealer seals the rows of one tenant. It belongs to one goroutine.
type Sealer struct {
	cfg                 Config
	token, text, reject mac

	ids     idCache
	values  []latest // by place of the attr's key in the batch
	clean   cleanCache
	fields  []field
	asides  []aside
	spans   []span
	views   [maxViews]view
	arena   []byte // copies that live as long as the row
	needles needles
	work    int  // steps that the record may still cost
	plain   bool // takes no short cut; for tests, which compare the two ways

	builder *tokenwatch.Builder // the one filled last, and the rows it then had
	rows    int
	epoch   uint64 // counts batches, so that a name is added to each once
	names   []tokenwatch.Naming
	hour    int32    // of the row, see Naming
	unsure  []*entry // whose names went into the batch, and may not be in the log yet
	given   []*entry // the row's credentials, by place
	whose   *entry   // the row's token, nil if it has none
	keyed   bool     // it is the credential with this key
	key     [2]uint64
	code    uint32 // of its id in the batch, 0 if that is not known
	carried string // where in a URL the row's own credential stood
}

// New returns a sealer of a tenant's rows.
func New(keys Keys, tenant string, cfg Config) *Sealer {
	if cfg.Cache <= 0 {
		cfg.Cache = 1 << 16
	}
	return &Sealer{
		cfg:    cfg,
		token:  newMAC(keys.token, tenant),
		text:   newMAC(keys.text, tenant),
		reject: newMAC(keys.reject, tenant),
		ids:    newIDCache(cfg.Cache),
		clean:  newCleanCache(),
	}
}

// Digest returns the keyed digest that stands for a record which could not be
// stored.
func (s *Sealer) Digest(record []byte) string {
	return s.reject.id(tokenwatch.DigestPrefix, 0, record)
}

// Holds tells whether a text holds a known format or a value named as a secret,
// as it stands or below an encoding: a column would not show it as it is.
func (s *Sealer) Holds(text []byte) bool {
	s.fields, s.spans, s.arena = s.fields[:0], s.spans[:0], s.arena[:0]
	s.needles.reset()
	s.work = 1<<16 + 64*len(text)
	s.fields = append(s.fields, field{text: text, attr: -1, col: tokenwatch.ColSource})
	s.search(0)
	return len(s.spans) > 0
}

// AttrCarrier is the attr that says where the request's own credential stood, if
// that is a part of a URL: what remains of it there is masked.
const AttrCarrier = "credential.carrier"

// Seal appends the row to b without its credentials, and empties
// row.Credentials. It may change every text of the row, whose memory must stay
// as it is until Seal returns. One Sealer at a time fills a Builder.
func (s *Sealer) Seal(row *tokenwatch.Row, b *tokenwatch.Builder) {
	s.begin(b)
	s.hour = max(1, int32(row.Int(tokenwatch.ColTime)/int64(time.Hour)))
	s.identify(row)
	if s.cfg.DropAttrs {
		row.Attrs = row.Attrs[:0]
	}
	s.work = 1 << 16
	s.collect(row)
	for i := range s.fields {
		s.work += 64 * len(s.fields[i].text)
	}
	odd := survey(0)
	for i := range s.fields {
		f := &s.fields[i]
		if !f.known && s.search(i) && f.repeats && f.fact == nil {
			switch {
			case f.attr < 0:
				note(row, f.col, f.has)
			case f.key:
				row.Attrs[f.attr].NoteKey(f.note | tokenwatch.Note(f.has) | isNoted)
			case f.named == nil && len(f.text) <= maxLatest:
				if l := s.latest(&row.Attrs[f.attr]); l != nil {
					l.batch, l.text, l.has = s.epoch, append(l.text[:0], f.text...), f.has
				}
			}
		}
		odd |= f.has & hasOdd
	}
	if !s.needles.empty() {
		s.listAsides(row)
		s.needles.index()
		if len(s.needles.short) > 0 && !s.plain {
			s.collectShort(row)
		}
		for i := range s.fields {
			s.searchNeedles(i)
		}
	}
	s.name(row)
	s.nameFacts(row)
	if len(s.spans) > 0 || odd != 0 || s.plain {
		s.rewrite(row)
	}
	if s.carried != "" {
		row.AddAttr(row.Keep(AttrCarrier), row.Keep(s.carried))
	}
	facts := row.Facts
	row.Credentials, row.Facts = row.Credentials[:0], row.Facts[:0]
	b.Append(row)
	s.rows = b.Rows()
	if s.keyed && s.code == 0 {
		s.ids.coded(s.key, uint32(s.epoch), row.Code(tokenwatch.ColToken))
	}
	for i := range facts {
		b.AddFact(s.fact(&facts[i]))
	}
	for _, n := range s.names {
		b.AddName(n)
	}
}

func (s *Sealer) begin(b *tokenwatch.Builder) {
	if b != s.builder || b.Rows() != s.rows || s.rows == 0 {
		s.builder = b
		s.epoch++
	}
	s.fields, s.asides, s.spans, s.names = s.fields[:0], s.asides[:0], s.spans[:0], s.names[:0]
	s.arena = s.arena[:0]
	s.needles.reset()
}

// keep copies b into memory that lives as long as the row.
func (s *Sealer) keep(b []byte) []byte {
	n := len(s.arena)
	s.arena = append(s.arena, b...)
	return s.arena[n:len(s.arena):len(s.arena)]
}

// field is one text of the row.
type field struct {
	text    []byte
	named   *nameRule // the attr's key names a secret
	fact    *[]byte   // where the text stands if it is a fact's
	attr    int32     // place in row.Attrs; -1 if it is a column
	has     survey
	col     tokenwatch.Col
	key     bool            // the attr's key, not its value
	note    tokenwatch.Note // of an attr's key, but for the survey
	looks   bool            // runs that look like secrets are masked (step 4)
	repeats bool            // the same text may well come again
	known   bool            // has is, and there is nothing to mask but what a needle finds
	masked  bool            // as a whole
}

// freeColumns hold text that a client wrote. In all other columns, vocabulary
// and ids, only credentials and known formats are masked.
const freeColumns = 1<<tokenwatch.ColUserAgent | 1<<tokenwatch.ColPath | 1<<tokenwatch.ColResource |
	1<<tokenwatch.ColError | 1<<tokenwatch.ColSession | 1<<tokenwatch.ColActor

// textColumns are the columns a parser or normaliser may fill with text.
var textColumns = func() (cols []tokenwatch.Col) {
	for i := range tokenwatch.NumColumns {
		c := tokenwatch.Col(i)
		if k := c.Kind(); c != tokenwatch.ColToken && (k == tokenwatch.KindText || k == tokenwatch.KindString) {
			cols = append(cols, c)
		}
	}
	return cols
}()

// textSet is the set of textColumns.
var textSet = tokenwatch.Cols(textColumns...)

// repeating are the columns of few distinct texts.
var repeating = func() (set uint64) {
	for _, c := range textColumns {
		if c.Kind() == tokenwatch.KindText {
			set |= 1 << c
		}
	}
	return set
}()

// A note holds a survey in its lower half, and above it what the key of an attr
// says of its value.
const (
	isNoted   = 1 << 16 // a survey is there: of a text in which there is nothing to mask but what a needle finds
	namesID   = 1 << 17 // the value is an id
	ruleShift = 18      // place in secretNames of the rule for it, from 1 on, if it is a secret
)

// keyNote looks at the key of an attr.
func keyNote(key []byte) (n tokenwatch.Note) {
	if idName(key) {
		n = namesID
	}
	if rule := attrName(key); rule != nil {
		for i := range secretNames {
			if &secretNames[i] == rule {
				n |= tokenwatch.Note(i+1) << ruleShift
			}
		}
	}
	return n
}

// noted returns the rule of a note, nil if it has none.
func noted(n tokenwatch.Note) *nameRule {
	if n >>= ruleShift; n > 0 {
		return &secretNames[n-1]
	}
	return nil
}

// note notes what the survey of a column's text says, for rows to come.
func note(row *tokenwatch.Row, c tokenwatch.Col, has survey) {
	n := tokenwatch.Note(has) | isNoted
	if w := row.Word(c); w != nil {
		w.Note = n
		return
	}
	row.Note(c, n)
}

// collect lists the row's texts, but for columns so short and plain that only a
// short needle can be in them. Texts that the batch has already are not surveyed
// again: where there is no needle yet, they are set aside until there is one.
func (s *Sealer) collect(row *tokenwatch.Row) {
	for left := uint64(row.Filled() & textSet); left != 0; left &= left - 1 {
		c := tokenwatch.Col(bits.TrailingZeros64(left))
		t := row.Text(c)
		var n tokenwatch.Note
		repeats := repeating>>c&1 != 0 && !s.plain
		if repeats {
			n = s.builder.Know(row, c)
		}
		switch {
		case n == isNoted && len(t) < minShared:
		case n&isNoted != 0:
			if !s.setAside(len(t), aside{attr: -1, col: c, has: survey(n)}) {
				f := s.field(c, t)
				f.known, f.has = true, survey(n)
			}
		case s.plain || !isShort(t):
			s.field(c, t)
		case repeats:
			note(row, c, 0)
		}
	}
	for i := range row.Attrs {
		a := &row.Attrs[i]
		n := tokenwatch.Note(0)
		if !s.plain {
			n = s.builder.KnowKey(a)
		}
		known := n&isNoted != 0
		if !known {
			n = keyNote(a.Key)
		}
		if !known || !s.setAside(len(a.Key), aside{attr: int32(i), key: true, has: survey(n)}) {
			s.fields = append(s.fields, field{text: a.Key, attr: int32(i), key: true, looks: true, repeats: true, note: n &^ isNoted})
			if known {
				f := &s.fields[len(s.fields)-1]
				f.known, f.has = true, survey(n)
			}
		}
		l := s.latest(a)
		known = l != nil && l.batch == s.epoch && bytes.Equal(l.text, a.Value)
		if !known || !s.setAside(len(a.Value), aside{attr: int32(i), has: l.has}) {
			s.fields = append(s.fields, field{text: a.Value, attr: int32(i), looks: n&namesID == 0, repeats: true, named: noted(n)})
			if known {
				f := &s.fields[len(s.fields)-1]
				f.known, f.has = true, l.has
			}
		}
	}
	for i := range row.Facts {
		row.Facts[i].Texts(func(text *[]byte, free bool) {
			if len(*text) > 0 {
				s.fields = append(s.fields, field{text: *text, attr: -1, col: tokenwatch.ColAttrs, looks: free, repeats: true, fact: text})
			}
		})
	}
}

// aside is a text of the row in which there is nothing to mask but what a needle
// finds.
type aside struct {
	attr int32 // place in row.Attrs; -1 if it is a column
	col  tokenwatch.Col
	key  bool // the attr's key, not its value
	has  survey
}

// setAside leaves a text of n bytes out of the fields, if there is no reason yet to
// search it or to clean it, and tells whether it did.
func (s *Sealer) setAside(n int, a aside) bool {
	if a.has&hasOdd != 0 || !s.needles.empty() {
		return false
	}
	s.work += 64 * n
	s.asides = append(s.asides, a)
	return true
}

// listAsides makes fields of the texts that were set aside.
func (s *Sealer) listAsides(row *tokenwatch.Row) {
	for _, a := range s.asides {
		f := field{attr: a.attr, col: a.col, key: a.key, has: a.has, known: true}
		switch {
		case a.attr < 0:
			f.text = row.Text(a.col)
		case a.key:
			f.text = row.Attrs[a.attr].Key
		default:
			f.text = row.Attrs[a.attr].Value
		}
		s.fields = append(s.fields, f)
	}
}

// latest is the value that an attr had when it was last looked at, if it was
// clean: many attrs nearly always say the same.
type latest struct {
	batch uint64 // in which the attr's key has this place
	text  []byte
	has   survey
}

// Bounds of what is kept of such values, which is 64 KiB.
const (
	latestKeys = 1 << 10
	maxLatest  = 64
)

// latest returns the place of an attr's value, nil if it has none.
func (s *Sealer) latest(a *tokenwatch.Attr) *latest {
	code := a.KeyCode()
	if code == 0 || code >= latestKeys || s.plain {
		return nil
	}
	if int(code) >= len(s.values) {
		s.values = append(s.values, make([]latest, int(code)+1-len(s.values))...)
	}
	return &s.values[code]
}

// collectShort lists the columns that collect has left out.
func (s *Sealer) collectShort(row *tokenwatch.Row) {
	for _, c := range textColumns {
		if t := row.Text(c); t != nil && isShort(t) {
			s.field(c, t)
		}
	}
}

// field adds the text of a column to the fields.
func (s *Sealer) field(c tokenwatch.Col, t []byte) *field {
	n := len(s.fields)
	if n == cap(s.fields) {
		s.fields = append(s.fields, field{})
	}
	s.fields = s.fields[:n+1]
	f := &s.fields[n]
	*f = field{text: t, attr: -1, col: c, looks: freeColumns>>c&1 != 0, repeats: repeating>>c&1 != 0}
	return f
}

// isShort tells whether nothing is to be found in t but a short needle.
func isShort(t []byte) bool { return len(t) < minShared && isPlain(t) }

// rewrite puts the replaced texts into the row.
func (s *Sealer) rewrite(row *tokenwatch.Row) {
	if len(s.spans) > 1 {
		slices.SortFunc(s.spans, func(a, b span) int {
			if a.field != b.field {
				return a.field - b.field
			}
			return a.lo - b.lo
		})
	}
	spans := s.spans
	for i := range s.fields {
		f := &s.fields[i]
		n := 0
		for n < len(spans) && spans[n].field == i {
			n++
		}
		if n == 0 && f.has&hasOdd == 0 {
			continue
		}
		t := f.text
		if n > 0 {
			t = s.replace(t, spans[:n])
			spans = spans[n:]
		}
		if f.has&hasOdd != 0 {
			t = s.build(func(out []byte) []byte { return appendClean(out, t) })
		}
		switch {
		case f.fact != nil:
			*f.fact = t
		case f.attr < 0:
			row.SetText(f.col, t)
		case f.key:
			row.Attrs[f.attr].SetKey(t)
		default:
			row.Attrs[f.attr].Value = t
		}
	}
}

// span is a part of a field to be replaced.
type span struct {
	field  int
	lo, hi int
	rank   rank
	id     string // "" for a run to be digested
}

// rank orders the reasons for a span: where spans overlap their union is
// replaced by the id of the lowest, then longest.
type rank uint8

const (
	rankWhole rank = iota // a credential of this record
	rankKnown             // a known format or a value named as a secret
	rankPart              // part of a credential of this record
	rankLooks             // looks like a secret
)

// isDerived tells whether the field is made from the path.
func (f *field) isDerived() bool {
	return f.attr < 0 && (f.col == tokenwatch.ColRoute || f.col == tokenwatch.ColAction)
}

// replace returns t with the spans replaced, which are in order of lo.
func (s *Sealer) replace(t []byte, spans []span) []byte {
	return s.build(func(out []byte) []byte {
		at := 0
		for len(spans) > 0 {
			u, n := spans[0], 1
			lo, hi := u.lo, u.hi
			for ; n < len(spans) && spans[n].lo < hi; n++ {
				v := spans[n]
				hi = max(hi, v.hi)
				if v.rank < u.rank || (v.rank == u.rank && v.hi-v.lo > u.hi-u.lo) {
					u = v
				}
			}
			spans = spans[n:]
			out = append(out, t[at:lo]...)
			if u.id == "" {
				u.id = s.digest(t[lo:hi])
			}
			out = append(out, u.id...)
			at = hi
		}
		return append(out, t[at:]...)
	})
}

// digest returns the keyed digest of a masked run.
func (s *Sealer) digest(run []byte) string {
	return s.text.id(tokenwatch.DigestPrefix, 0, run)
}

func (s *Sealer) build(f func([]byte) []byte) []byte {
	n := len(s.arena)
	s.arena = f(s.arena)
	return s.arena[n:len(s.arena):len(s.arena)]
}
