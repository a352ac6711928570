package seal

import (
	"bytes"
	"crypto/sha256"
	gobase64 "encoding/base64"
	gohex "encoding/hex"
	"slices"
	"strings"

	"github.com/tokenwatch/tokenwatch"
)

// identify gives the row its token: the fingerprint of the first credential it
// was made with, else the id of its strongest name. It notes all names, and all
// credentials as needles.
func (s *Sealer) identify(row *tokenwatch.Row) {
	if t := row.Text(tokenwatch.ColToken); t != nil {
		row.AddCredential("token", t) // whoever writes a log names no token of ours
		row.Clear(tokenwatch.ColToken)
	}
	var token *entry
	s.given, s.whose, s.keyed, s.code, s.carried = s.given[:0], nil, false, 0, ""
	for i := range row.Credentials {
		c := &row.Credentials[i]
		used := token == nil && !c.Incidental
		e := s.carrier(row, c, used)
		if used {
			token = e
		}
		s.given = append(s.given, e)
		if e != nil && !c.Incidental && inURL(c.Carrier) {
			s.carried = c.Carrier
		}
	}
	for i := range row.Facts {
		f := &row.Facts[i]
		about(f)
		s.strongest(f.Subject)
		s.strongest(f.Previous)
	}
	if e := s.strongest(row.Names); token == nil {
		token = e
	}
	if token == nil {
		return
	}
	s.whose = token
	if s.code != 0 {
		row.SetCode(tokenwatch.ColToken, s.code)
	} else {
		row.SetWord(tokenwatch.ColToken, &token.word)
	}
	for i := range row.Names {
		if n := &row.Names[i]; n.Kind == tokenwatch.NameAccessKeyID {
			s.kind(row, accessKeyKind(n.Value))
		}
	}
}

// inURL tells whether a carrier is part of a URL.
func inURL(carrier string) bool {
	return strings.HasPrefix(carrier, "query:") || strings.HasPrefix(carrier, "url:") || strings.HasPrefix(carrier, "fragment:")
}

// strongest returns the entry of the strongest of a token's names, nil if there is
// none. A name that is a credential after all becomes a needle.
func (s *Sealer) strongest(names []tokenwatch.Name) (token *entry) {
	strength := len(tokenwatch.NameKinds)
	for i := range names {
		n := &names[i]
		e := s.ids.name(s, n)
		if e.other.secret {
			s.needles.add(n.Value, e, "")
		}
		k := slices.Index(tokenwatch.NameKinds, n.Kind)
		if k < 0 {
			k = len(tokenwatch.NameKinds) - 1 // of a kind unknown here: as weak as the weakest
		}
		if e.other.secret && n.Kind != tokenwatch.NamePrefix {
			k = -1 // a credential after all
		}
		if k < strength {
			token, strength = e, k
		}
	}
	return token
}

// name notes the row's names as those of its token, but for those that would
// show a credential of the record. All needles are known and indexed.
func (s *Sealer) name(row *tokenwatch.Row) {
	if s.whose != nil && len(row.Names) > 0 {
		s.nameAs(row.Names, s.whose.word.Text())
	}
}

// nameAs notes names as those of the token whose id is text.
func (s *Sealer) nameAs(names []tokenwatch.Name, text []byte) {
	if text == nil || len(names) == 0 {
		return
	}
	token := tokenwatch.TokenID("")
	for i := range names {
		n := &names[i]
		e := s.ids.name(s, n)
		if s.isNamed(e, string(text)) || e.other.secret && string(e.id) != string(text) {
			continue
		}
		if s.reveals(n) {
			continue
		}
		if token == "" {
			token = tokenwatch.TokenID(text)
		}
		s.nameAll(e, token)
	}
}

// carrier takes in a declared credential and returns its entry, nil if it has none.
func (s *Sealer) carrier(row *tokenwatch.Row, c *tokenwatch.Credential, first bool) *entry {
	open := s.open(c.Secret.Reveal(), c.Carrier)
	if open.key != nil {
		row.AddName(tokenwatch.NameAccessKeyID, "aws", open.key)
		if len(open.given) > 0 {
			s.needle(open.given, nil, s.digest(open.given))
		}
		return nil
	}
	if len(open.secret) == 0 {
		return nil
	}
	slot := s.ids.credential(s, open.secret)
	e := slot.e
	s.needle(open.secret, e, "")
	if !bytes.Equal(open.given, open.secret) {
		s.needle(open.given, e, "")
	}
	if slot.turn != uint32(s.epoch) || s.plain {
		s.nameOwn(e)
	}
	if !first {
		return e
	}
	s.keyed, s.key = true, slot.key
	if slot.turn == uint32(s.epoch) && !s.plain {
		s.code = slot.code
	}
	switch {
	case !slot.plain && e.form != nil:
		s.kind(row, e.form.kind)
	case open.scheme != "":
		s.kind(row, open.scheme)
	default:
		s.kind(row, "api_key")
	}
	if slot.plain && len(open.user) == 0 {
		return e
	}
	if !row.Has(tokenwatch.ColIssuer) && e.other.issuer != "" {
		row.SetString(tokenwatch.ColIssuer, e.other.issuer)
	}
	if !row.Has(tokenwatch.ColActor) {
		if len(open.user) > 0 {
			row.SetText(tokenwatch.ColActor, open.user)
		} else if e.other.subject != "" {
			row.SetString(tokenwatch.ColActor, e.other.subject)
		}
	}
	return e
}

func (s *Sealer) kind(row *tokenwatch.Row, kind string) {
	if !row.Has(tokenwatch.ColTokenKind) {
		row.SetString(tokenwatch.ColTokenKind, kind)
	}
}

func accessKeyKind(id []byte) string {
	if bytes.HasPrefix(id, []byte("ASIA")) {
		return "aws_session"
	}
	return "aws_access_key"
}

// nameAll notes the aliases of an entry as names of token, once a batch.
func (s *Sealer) nameAll(e *entry, token tokenwatch.TokenID) {
	switch {
	case token == e.id:
		s.nameOwn(e)
		return
	case s.isNamed(e, string(token)):
		return
	case e.other == noOthers:
		e.other = &others{}
	}
	e.other.epoch, e.other.owner, e.other.hour = s.epoch, token, s.hour
	s.addNames(e, token, s.hour)
}

// nameOwn is nameAll of an entry as its own token.
func (s *Sealer) nameOwn(e *entry) {
	if own := e.own.Load(); own != s.epoch && own != logged {
		e.own.Store(s.epoch)
		s.unsure = append(s.unsure, e)
		s.addNames(e, e.id, 0)
	}
}

// logged is the batch of names that are in the log for good.
const logged = ^uint64(0)

// Named is what a batch names tokens. It is spent by Stored.
type Named struct{ entries []*entry }

// TakeNamed returns what was named since it was called last.
func (s *Sealer) TakeNamed() Named {
	n := Named{s.unsure}
	s.unsure = nil
	return n
}

// Stored says that the batch is in the log, or will be before any that is sealed
// from now on: the sealer does not name the same again. It may be called from any
// goroutine.
func (n Named) Stored() {
	for _, e := range n.entries {
		e.own.Store(logged)
	}
}

func (s *Sealer) addNames(e *entry, token tokenwatch.TokenID, hour int32) {
	e.eachAlias(func(a tokenwatch.Alias) {
		s.names = append(s.names, tokenwatch.Naming{Token: token, Alias: a, Issuer: e.other.scope, Hour: hour})
	})
}

// isNamed tells whether the batch has the aliases of an entry as names of token, as of
// the row at hand or earlier.
func (s *Sealer) isNamed(e *entry, token string) bool {
	own := e.own.Load()
	return (own == s.epoch || own == logged) && string(e.id) == token || e.other.epoch == s.epoch && string(e.other.owner) == token && e.other.hour <= s.hour
}

// reveals tells whether to show a name would show a credential of the record: a
// name that shares a part with it, as it stands or below an encoding. Only the
// beginning of a credential may be shown, and no more than half of it.
func (s *Sealer) reveals(n *tokenwatch.Name) bool {
	if s.needles.empty() {
		return false
	}
	begins := false
	for _, list := range [2][]needle{s.needles.long, s.needles.short} {
		for i := range list {
			b := list[i].b
			if list[i].derived {
				continue
			}
			if len(b) >= 4 && bytes.Contains(n.Value, b) {
				return true
			}
			if k := shownPart(n.Value); bytes.HasPrefix(b, k) {
				if 2*unique(k) > unique(b) {
					return true
				}
				begins = true
			}
		}
	}
	return !begins && s.shares(n.Value)
}

// shares tells whether a text that is no field of the row shares a part with
// a needle.
func (s *Sealer) shares(t []byte) bool {
	i, spans := len(s.fields), len(s.spans)
	s.work += 64 * len(t)
	s.fields = append(s.fields, field{text: t, attr: -1, col: tokenwatch.ColToken, has: s.survey(t)})
	s.searchNeedles(i)
	found := len(s.spans) > spans
	s.fields, s.spans = s.fields[:i], s.spans[:spans]
	return found
}

// bears tells whether a text that is no field of the row holds a known format or a
// value named as a secret, which is then masked in the row's fields too.
func (s *Sealer) bears(t []byte) bool {
	if isShort(t) {
		return false
	}
	i, spans, work := len(s.fields), len(s.spans), s.work
	s.work = 1<<16 + 64*len(t)
	s.fields = append(s.fields, field{text: t, attr: -1, col: tokenwatch.ColSource})
	s.search(i)
	found := len(s.spans) > spans
	s.fields, s.spans, s.work = s.fields[:i], s.spans[:spans], work
	return found
}

// NameID returns the id of a token that a log knows by a name only, while no
// link says more: HMAC(tenant ‖ 1 ‖ kind ‖ 0 ‖ issuer ‖ 0 ‖ value).
// A full hash has the id of the secret itself. Truncated hashes count by their
// first 16 bytes, shorter ones by 8.
func (s *Sealer) NameID(kind tokenwatch.NameKind, issuer, value string) tokenwatch.TokenID {
	return s.newName(&tokenwatch.Name{Kind: kind, Issuer: issuer, Value: []byte(value)}).id
}

const maxPrefix = 24 // characters of the unique part of a display prefix

// newName makes the entry of a name that was not remembered.
func (s *Sealer) newName(n *tokenwatch.Name) *entry {
	value := trim(n.Value)
	kind := n.Kind
	switch kind {
	case tokenwatch.NameFullHash, tokenwatch.NameTruncatedHash:
		sum := hashBytes(value)
		if len(sum) == 32 {
			return s.hashEntry(s.FullHashID([32]byte(sum)), tokenwatch.NameFullHash, sum)
		}
		if len(sum) >= 8 {
			cut := sum[:8]
			if len(sum) >= 16 {
				cut = sum[:16]
			}
			return s.hashEntry(s.nameID(tokenwatch.NameTruncatedHash, "", []byte(gohex.EncodeToString(cut))), tokenwatch.NameTruncatedHash, cut)
		}
	case tokenwatch.NamePrefix:
		value = shownPart(value)
		if unique(value) > maxPrefix {
			return newEntry(s.nameID(kind, n.Issuer, value), &others{secret: true})
		}
	default:
		if formatOf(value) != nil || (kind != tokenwatch.NameJTI && len(value) > 0 && issued(value, 0) == len(value)) {
			e := s.newCredential(value)
			other := *e.other
			other.secret = true
			e.other = &other
			return e
		}
	}
	if s.bears(value) {
		return newEntry(s.nameID(kind, n.Issuer, value), &others{secret: true})
	}
	scope := display([]byte(n.Issuer))
	if s.bears([]byte(n.Issuer)) {
		scope = s.digest([]byte(n.Issuer))
	}
	return newEntry(s.nameID(kind, n.Issuer, value), &others{aliases: []tokenwatch.Alias{{Kind: kind, Value: display(value)}}, scope: scope})
}

func (s *Sealer) nameID(kind tokenwatch.NameKind, issuer string, value []byte) tokenwatch.TokenID {
	return tokenwatch.TokenID(s.token.id(tokenwatch.TokenPrefix, 1, []byte(kind), []byte{0}, []byte(issuer), []byte{0}, value))
}

// hashEntry makes the entry of a hash that a log has, which is shown as it stands.
func (s *Sealer) hashEntry(id tokenwatch.TokenID, kind tokenwatch.NameKind, hash []byte) *entry {
	e := newEntry(id, &others{aliases: []tokenwatch.Alias{{Kind: kind, Value: gohex.EncodeToString(hash)}}})
	e.ties = s.tiesOf(hash)
	return e
}

// ties are the keyed digests of the first 8 and 16 bytes of a SHA-256, one after the
// other: what secrets, hashes and truncated hashes of one token have in common.
type ties string

const (
	shortTie = len("8:") + idLength
	longTie  = len("16:") + idLength
)

func (s *Sealer) tiesOf(sum []byte) ties {
	short := s.token.id("8:", 2, sum[:8])
	if len(sum) < 16 {
		return ties(short)
	}
	return ties(short + s.token.id("16:", 2, sum[:16]))
}

func (t ties) each(f func(tokenwatch.Alias)) {
	if len(t) >= shortTie {
		f(tokenwatch.Alias{Kind: tokenwatch.NameHashDigest, Value: string(t[:shortTie])})
	}
	if len(t) == shortTie+longTie {
		f(tokenwatch.Alias{Kind: tokenwatch.NameHashDigest, Value: string(t[shortTie:])})
	}
}

// Called returns what a token may be stored as where somebody calls it name: that;
// the id it has if name is its secret; and, if name is a hash, the ids it has by that.
func (s *Sealer) Called(name string) []string {
	out := []string{name, string(s.Fingerprint([]byte(name)))}
	sum := hashBytes([]byte(name))
	if len(sum) == sha256.Size {
		out = append(out, string(s.FullHashID([sha256.Size]byte(sum))))
	}
	if len(sum) >= 8 {
		s.tiesOf(sum).each(func(a tokenwatch.Alias) { out = append(out, a.Value) })
	}
	return out
}

// hashBytes decodes a whole or truncated SHA-256: hex in any case, or base64 of
// 32 bytes in either alphabet, also after "sha256:". It returns nil for others.
func hashBytes(v []byte) []byte {
	text := string(v)
	if n := len("sha256:"); len(text) > n && (strings.EqualFold(text[:n], "sha256:") || strings.EqualFold(text[:n], "sha256-")) {
		text = text[n:]
	}
	if b, err := gohex.DecodeString(text[:len(text)&^1]); err == nil {
		return b[:min(len(b), 32)]
	}
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	if b, err := gobase64.RawStdEncoding.DecodeString(text); err == nil && len(b) == 32 {
		return b
	}
	return nil
}

// shownPart returns a display prefix without the dots or stars for the rest.
func shownPart(v []byte) []byte { return bytes.TrimRight(v, "*.…") }

// unique returns how long the unique part of a token is: what follows the words
// that tell its kind.
func unique(v []byte) int {
	n := bytes.LastIndexAny(v[:min(len(v), 16)], "_-.")
	return len(v) - n - 1
}
