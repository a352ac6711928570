package tokenwatch

import (
	"net/netip"
)

// Row is one record being parsed. A parser points it at parts of the record,
// so it is valid only until the parser is called again; it is reused for the
// next record by Reset.
type Row struct {
	set   uint64 // bit c: column c has a value
	texts [NumColumns]rowText
	num   [NumColumns]int64
	addr  netip.Addr
	arena []byte

	// Attrs are the fields that no column takes.
	Attrs []Attr
	// Names are the names other than the secret by which the record knows its token.
	Names []Name
	// Credentials are the raw credentials found in declared carriers; the first
	// that is not Incidental is the one the request was made with. seal empties it.
	Credentials []Credential
	// Facts are what the record says about the lives of tokens; seal empties it.
	Facts []RowFact
}

// rowText is the value of a text column.
type rowText struct {
	b    []byte
	word *Word  // what b is known to be, nil where it is not
	code uint32 // in the dictionary of the batch to come, 0 where it is not known
	note Note   // for that dictionary
}

// Attr is a field of a record that no column takes.
type Attr struct {
	Key, Value []byte

	word *Word  // what Key is known to be, nil where it is not
	code uint32 // of Key in the batch to come, 0 where it is not known
	note Note   // of Key, for that batch
}

// SetKey replaces the key.
func (a *Attr) SetKey(key []byte) { a.Key, a.word, a.code, a.note = key, nil, 0, 0 }

// KeyCode is Row.Code for the key: as far as KnowKey found it, or the batch took it.
func (a *Attr) KeyCode() uint32 { return a.code }

// NoteKey is Row.Note for the key.
func (a *Attr) NoteKey(n Note) {
	if a.word != nil {
		a.word.Note = n
		return
	}
	a.note = n
}

// Name is a name of a token other than its secret, as a record gives it.
type Name struct {
	Kind   NameKind
	Issuer string // scope within which the name is unique; "" where it is so by itself
	Value  []byte
}

// Credential is a raw credential found in a declared carrier of a record.
type Credential struct {
	Secret  Secret
	Carrier string // where it stood: authorization, cookie:session, query:api_key …
	// Incidental: the record holds it, but the request was not made with it: a
	// credential in an answer, a password in a body, a referring URL. It is
	// masked and never becomes the row's token.
	Incidental bool
}

// Reset empties the row for the next record and keeps its memory.
func (r *Row) Reset() {
	r.Forget()
	r.arena = r.arena[:0]
}

// Forget takes all values away but leaves the memory they lie in as it is, for
// a parser that tries one reading of a record after another.
func (r *Row) Forget() {
	r.set = 0
	r.Attrs = r.Attrs[:0]
	r.Names = r.Names[:0]
	r.Credentials = r.Credentials[:0]
	r.Facts = r.Facts[:0]
}

// Has tells whether column c has a value.
func (r *Row) Has(c Col) bool { return r.set&(1<<c) != 0 }

// Filled returns the columns that have a value.
func (r *Row) Filled() ColSet { return ColSet(r.set) }

// Clear takes the value of column c away.
func (r *Row) Clear(c Col) { r.set &^= 1 << c }

// SetText gives a text column its value; an empty value clears it. The row
// keeps b, not a copy.
func (r *Row) SetText(c Col, b []byte) {
	if len(b) == 0 {
		r.Clear(c)
		return
	}
	t := &r.texts[c]
	t.b, t.word, t.code, t.note = b, nil, 0, 0
	r.set |= 1 << c
}

// SetWord is SetText for a text that comes again and again; it must not be empty.
func (r *Row) SetWord(c Col, w *Word) {
	t := &r.texts[c]
	t.b, t.word, t.code, t.note = w.text, w, 0, 0
	r.set |= 1 << c
}

// SetCode is SetText for a text that the batch to come has already; see Code.
func (r *Row) SetCode(c Col, code uint32) {
	t := &r.texts[c]
	t.b, t.word, t.code, t.note = nil, nil, code, 0
	r.set |= 1 << c
}

// Code returns the code of a column's text in the batch that it was last appended
// to; it holds until that batch is taken.
func (r *Row) Code(c Col) uint32 { return r.texts[c].code }

// Word returns the Word that SetWord gave column c, nil if its text came otherwise.
func (r *Row) Word(c Col) *Word { return r.texts[c].word }

// Note says what sealing found out about the text of column c, for rows of the
// same batch with the same text.
func (r *Row) Note(c Col, n Note) { r.texts[c].note = n }

// SetString is SetText for a constant.
func (r *Row) SetString(c Col, s string) { r.SetText(c, r.Keep(s)) }

// Text returns the value of a text column, nil if it has none.
func (r *Row) Text(c Col) []byte {
	if !r.Has(c) {
		return nil
	}
	return r.texts[c].b
}

// SetInt gives an integer or time column its value.
func (r *Row) SetInt(c Col, v int64) {
	r.num[c] = v
	r.set |= 1 << c
}

// Int returns the value of an integer or time column, 0 if it has none.
func (r *Row) Int(c Col) int64 {
	if !r.Has(c) {
		return 0
	}
	return r.num[c]
}

// SetAddr gives src_ip its value; an invalid address clears it.
func (r *Row) SetAddr(a netip.Addr) {
	if !a.IsValid() {
		r.Clear(ColSrcIP)
		return
	}
	r.addr = a.Unmap().WithZone("")
	r.set |= 1 << ColSrcIP
}

// Addr returns src_ip, invalid if the row has none.
func (r *Row) Addr() netip.Addr {
	if !r.Has(ColSrcIP) {
		return netip.Addr{}
	}
	return r.addr
}

// AddAttr adds a field that no column takes. The row keeps key and value.
func (r *Row) AddAttr(key, value []byte) {
	r.Attrs = append(r.Attrs, Attr{Key: key, Value: value})
}

// AddNamed is AddAttr for a key that comes again and again.
func (r *Row) AddNamed(key *Word, value []byte) {
	r.Attrs = append(r.Attrs, Attr{Key: key.text, Value: value, word: key})
}

// AddName adds a name of the record's token; an empty value is ignored.
func (r *Row) AddName(kind NameKind, issuer string, value []byte) {
	if len(value) > 0 {
		r.Names = append(r.Names, Name{kind, issuer, value})
	}
}

// AddCredential adds a raw credential found in carrier; an empty one is
// ignored. The row keeps secret, not a copy.
func (r *Row) AddCredential(carrier string, secret []byte) {
	if len(secret) == 0 {
		return
	}
	n := len(r.Credentials)
	if n < cap(r.Credentials) {
		r.Credentials = r.Credentials[:n+1] // reuses the cell behind the Secret
	} else {
		r.Credentials = append(r.Credentials, Credential{})
	}
	r.Credentials[n].Carrier = carrier
	r.Credentials[n].Incidental = false
	r.Credentials[n].Secret.hold(secret)
}

// AddIncidental adds a raw credential that the record holds but the request was
// not made with; an empty one is ignored. The row keeps secret, not a copy.
func (r *Row) AddIncidental(carrier string, secret []byte) {
	if r.AddCredential(carrier, secret); len(secret) > 0 {
		r.Credentials[len(r.Credentials)-1].Incidental = true
	}
}

// AddFact adds a fact of a kind, to be filled in; it is valid until the next is
// added.
func (r *Row) AddFact(kind FactKind) *RowFact {
	n := len(r.Facts)
	if n < cap(r.Facts) {
		r.Facts = r.Facts[:n+1]
	} else {
		r.Facts = append(r.Facts, RowFact{})
	}
	f := &r.Facts[n]
	f.reset()
	f.Kind = kind
	return f
}

// Keep copies s into memory that lives as long as the row's values do.
func (r *Row) Keep(s string) []byte {
	n := len(r.arena)
	r.arena = append(r.arena, s...)
	return r.arena[n:len(r.arena):len(r.arena)]
}

// Build calls f with the row's spare memory to append to, and returns what f
// appended; it lives as long as the row's values do.
func (r *Row) Build(f func([]byte) []byte) []byte {
	n := len(r.arena)
	r.arena = f(r.arena)
	return r.arena[n:len(r.arena):len(r.arena)]
}
