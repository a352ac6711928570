package baseline

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/tokenwatch/tokenwatch"
)

// Life is what is known of a token apart from its use: what audit trails and
// inventories tell, as far as detection asks for it. One life may go through
// several secrets in turn; which one it is about is then said by Moment.Token.
type Life struct {
	_        struct{} `cbor:",toarray"`
	Created  int64    // UTC milliseconds; 0 is not told
	LastUsed int64    // as an inventory tells, when it was made
	Scopes   []uint32 // granted by the inventory, upper halves of their hashes, in order; nil is not told
	Networks []netip.Prefix
	Moments  []Moment // in order
	Mint     Mint
	Decoy    bool // a honeytoken: nobody should use it
}

// Mint is how a token came to be that another one made.
type Mint struct {
	_      struct{} `cbor:",toarray"`
	Millis int64    // event time; 0: it was not made by a token
	By     string   // lineage or id of the token that made it
	Depth  uint8    // how many tokens in a row were made so, each within a day of the one before
	Odd    bool     // the one that made it was anomalous on that day
	Judged bool     // Odd is known: the hour it was made in has settled
}

// Moment is something that happened in a life.
type Moment struct {
	_      struct{} `cbor:",toarray"`
	Millis int64    // event time
	Kind   tokenwatch.FactKind
	Token  tokenwatch.TokenID // "" is all of the life's
	Until  int64              // UTC milliseconds; 0 is not told
	Scopes []uint32           // added
}

// maxMoments bounds what is remembered of a life; the latest are kept.
const maxMoments = 64

// Add notes a moment once.
func (l *Life) Add(m Moment) {
	at, ok := slices.BinarySearchFunc(l.Moments, m, Moment.compare)
	if ok {
		return
	}
	l.Moments = slices.Insert(l.Moments, at, m)
	if len(l.Moments) > maxMoments {
		l.Moments = slices.Delete(l.Moments, 0, 1)
	}
}

// Absorb takes in what is known of another life that turned out to be the same; about
// says of each of its moments anew whom it is about.
func (l *Life) Absorb(o *Life, about func(*Moment)) {
	l.Created, l.LastUsed = max(l.Created, o.Created), max(l.LastUsed, o.LastUsed)
	if o.Scopes != nil {
		l.Scopes = append(slices.Clone(l.Scopes), o.Scopes...)
		slices.Sort(l.Scopes)
		l.Scopes = slices.Compact(l.Scopes)
	}
	l.Networks = append(slices.Clone(l.Networks), o.Networks...)
	for _, m := range o.Moments {
		about(&m)
		l.Add(m)
	}
	if m := &o.Mint; m.Millis != 0 && (l.Mint.Millis == 0 || m.Millis < l.Mint.Millis || m.Millis == l.Mint.Millis && m.By < l.Mint.By) {
		l.Mint = *m
	}
	l.Decoy = l.Decoy || o.Decoy
}

func (m Moment) compare(o Moment) int {
	return cmp.Or(cmp.Compare(m.Millis, o.Millis), cmp.Compare(m.Kind, o.Kind), cmp.Compare(m.Token, o.Token),
		cmp.Compare(m.Until, o.Until), slices.Compare(m.Scopes, o.Scopes))
}

func (m *Moment) about(token tokenwatch.TokenID) bool { return m.Token == "" || m.Token == token }

// Ended tells whether the token's time was over before a moment, and since when.
func (l *Life) Ended(token tokenwatch.TokenID, millis int64) (since int64, ok bool) {
	if l == nil {
		return 0, false
	}
	for i := range l.Moments {
		m := &l.Moments[i]
		switch {
		case m.Millis > millis || !m.about(token):
			continue
		case m.Kind == tokenwatch.FactRevoked || m.Kind == tokenwatch.FactExpired || m.Kind == tokenwatch.FactDisabled:
		case m.Kind == tokenwatch.FactEnabled:
			ok = false
			continue
		default:
			continue
		}
		if m.Millis < millis && !ok {
			since, ok = m.Millis, true
		}
	}
	return since, ok
}

// Replaced tells whether the token's overlap with the one that follows it was over
// before a moment, and since when.
func (l *Life) Replaced(token tokenwatch.TokenID, millis int64) (since int64, ok bool) {
	if l == nil {
		return 0, false
	}
	for i := range l.Moments {
		m := &l.Moments[i]
		if m.Kind == tokenwatch.FactRotated && m.Token == token && m.Until > 0 && m.Until < millis && (!ok || m.Until < since) {
			since, ok = m.Until, true
		}
	}
	return since, ok
}

// Latest finds the latest moment of a kind before a given one.
func (l *Life) Latest(kind tokenwatch.FactKind, token tokenwatch.TokenID, millis int64) (Moment, bool) {
	if l == nil {
		return Moment{}, false
	}
	for _, m := range slices.Backward(l.Moments) {
		if m.Kind == kind && m.Millis <= millis && m.about(token) {
			return m, true
		}
	}
	return Moment{}, false
}

// Lent tells whether the token is in the hands of somebody who asked for it.
func (l *Life) Lent(token tokenwatch.TokenID, millis int64) bool {
	m, ok := l.Latest(tokenwatch.FactCheckedOut, token, millis)
	return ok && millis <= m.Until
}

// grantDays is for how many days the first use of a granted scope is expected.
const grantDays = 7

// Granted tells whether a scope was granted of late.
func (l *Life) Granted(scope uint64, token tokenwatch.TokenID, millis int64) bool {
	m, ok := l.Latest(tokenwatch.FactScopeChanged, token, millis)
	if !ok || millis-m.Millis > grantDays*24*3600_000 {
		return false
	}
	return slices.Contains(m.Scopes, fingerprint(scope))
}

// Grants tells whether a scope is among those that the token holds; known is false
// where that is not told.
func (l *Life) Grants(scope uint64, token tokenwatch.TokenID, millis int64) (granted, known bool) {
	if l == nil || l.Scopes == nil {
		return false, false
	}
	if _, ok := slices.BinarySearch(l.Scopes, fingerprint(scope)); ok {
		return true, true
	}
	for i := range l.Moments {
		m := &l.Moments[i]
		if m.Kind == tokenwatch.FactScopeChanged && m.Millis <= millis && m.about(token) && slices.Contains(m.Scopes, fingerprint(scope)) {
			return true, true
		}
	}
	return false, true
}

// Allows tells whether the token may be used from an address, as far as that is told.
func (l *Life) Allows(a netip.Addr) bool {
	if l == nil || len(l.Networks) == 0 || !a.IsValid() {
		return true
	}
	return slices.ContainsFunc(l.Networks, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Known tells whether the token was there before it was seen, and when it was last
// used or made.
func (l *Life) Known() (millis int64, ok bool) {
	if l == nil {
		return 0, false
	}
	return max(l.Created, l.LastUsed), l.Created != 0 || l.LastUsed != 0
}

// Fingerprint is the upper half of a hash, which baselines keep.
func Fingerprint(hash uint64) uint32 { return fingerprint(hash) }
