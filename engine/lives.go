package engine

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
)

// lives is what audit trails and inventories tell of a tenant's tokens. It changes
// between batches only, while no shard works.
type lives struct {
	byToken   map[tokenwatch.TokenID]*life
	byLineage map[string]*life
	changed   map[*life]struct{} // since the snapshot
	heirs     []heir             // of rotations that have not settled, in order
}

// life is one of them with its key in the snapshot.
type life struct {
	baseline.Life
	lineage string               // "" where only the token tells
	tokens  []tokenwatch.TokenID // in order
}

// heir is a token that goes on where another one ends.
type heir struct {
	_        struct{} `cbor:",toarray"`
	Hour     int32
	From, To tokenwatch.TokenID
}

func newLives() lives {
	return lives{map[tokenwatch.TokenID]*life{}, map[string]*life{}, map[*life]struct{}{}, nil}
}

// of finds the life that a token or a lineage belongs to, or begins it. A token that
// is found to be of a lineage brings what was known of it alone.
func (l *lives) of(token tokenwatch.TokenID, lineage string) *life {
	var found *life
	if lineage != "" {
		found = l.byLineage[lineage]
	}
	if found == nil && token != "" {
		if alone := l.byToken[token]; alone != nil && (alone.lineage == "" || lineage == "") {
			found = alone
		}
	}
	if found == nil {
		found = &life{}
	}
	if lineage != "" && found.lineage == "" {
		found.lineage = lineage
		l.byLineage[lineage] = found
	}
	if token != "" && l.byToken[token] != found {
		if alone := l.byToken[token]; alone != nil && alone.lineage == "" {
			for _, m := range alone.Moments {
				found.Add(m)
			}
			found.Created, found.LastUsed = max(found.Created, alone.Created), max(found.LastUsed, alone.LastUsed)
		}
		l.byToken[token] = found
		if at, ok := slices.BinarySearch(found.tokens, token); !ok {
			found.tokens = slices.Insert(found.tokens, at, token)
		}
	}
	l.changed[found] = struct{}{}
	return found
}

// learnFacts takes in what a batch tells of tokens' lives. Facts of rows that lie
// outside the windows are left out, like the rows.
func (t *tenant) learnFacts(b *tokenwatch.Batch) {
	for _, f := range b.Facts() {
		at := b.Int(tokenwatch.ColTime, f.Row)
		if at <= 0 || b.Bool(tokenwatch.ColLate, f.Row) || b.Bool(tokenwatch.ColFuture, f.Row) {
			continue
		}
		t.learnFact(f, at/1e6)
	}
}

func (t *tenant) learnFact(f tokenwatch.Fact, millis int64) {
	if f.Token == "" && f.Lineage == "" {
		return
	}
	l := t.lives.of(f.Token, f.Lineage)
	m := baseline.Moment{Millis: millis, Kind: f.Kind, Until: f.Until / 1e6, Scopes: t.scopes(f.Scopes)}
	switch f.Kind {
	case tokenwatch.FactCreated:
		l.Created = max(l.Created, millis)
	case tokenwatch.FactRotated:
		if f.Previous == "" {
			break
		}
		l = t.lives.of(f.Previous, f.Lineage)
		m.Token = f.Previous
		if m.Until == 0 {
			m.Until = millis
		}
		if h := (heir{Hour: int32(millis / 3600_000), From: f.Previous, To: f.Token}); f.Token != "" && h.Hour >= t.settled && !slices.Contains(t.lives.heirs, h) {
			t.lives.heirs = append(t.lives.heirs, h)
		}
	case tokenwatch.FactLeaked:
		m.Token = f.Token
	case tokenwatch.FactUsed, tokenwatch.FactDenied, tokenwatch.FactOwnerLeft:
		return // nothing that detection asks for
	}
	l.Add(m)
	t.tie(l)
}

func (t *tenant) scopes(names []string) []uint32 {
	if len(names) == 0 {
		return nil
	}
	out := make([]uint32, len(names))
	for i, n := range names {
		out[i] = baseline.Fingerprint(t.hash.String(n))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// learnInventory takes in an imported inventory. It holds from its place in the log on.
func (t *tenant) learnInventory(table *tokenwatch.Table) {
	for i := range table.Tokens {
		in := &table.Tokens[i]
		var l *life
		if in.Lineage != "" {
			l = t.lives.of("", in.Lineage)
		}
		for _, k := range in.Keys {
			l = t.lives.of(k.Token, in.Lineage)
		}
		if l == nil {
			continue
		}
		l.Created, l.LastUsed = in.Created/1e6, in.LastUsed/1e6
		l.Scopes = t.scopes(in.Scopes)
		l.Networks = nil
		for _, cidr := range in.Networks {
			if p, err := netip.ParsePrefix(cidr); err == nil {
				l.Networks = append(l.Networks, p)
			}
		}
		t.tie(l)
	}
}

// tie gives the entities of a life's tokens, as far as there are any, to it.
func (t *tenant) tie(l *life) {
	for _, token := range l.tokens {
		if e := t.token(token); e != nil {
			e.life = &l.Life
		}
	}
}

// token returns the entity of a token, nil if there is none.
func (t *tenant) token(id tokenwatch.TokenID) *entity {
	hash := t.hash.String(string(id))
	return t.shardOf(hash).entities[tokenwatch.EntityToken][hash]
}

// inherit gives tokens that follow others by rotation, up to and with an hour, the
// baseline of the one before as of that hour.
func (t *tenant) inherit(hour int32) {
	if len(t.lives.heirs) == 0 {
		return
	}
	slices.SortFunc(t.lives.heirs, heir.compare)
	done := 0
	for _, h := range t.lives.heirs {
		if h.Hour > hour {
			break
		}
		done++
		from := t.token(h.From)
		if from == nil || from.usual.Hours == 0 {
			continue
		}
		hash := t.hash.String(string(h.To))
		to := t.shardOf(hash)
		if e := to.entity(tokenwatch.EntityToken, hash, string(h.To)); e.usual.Hours == 0 {
			e.usual = from.usual.Clone()
			to.change(e)
		}
	}
	t.lives.heirs = slices.Delete(t.lives.heirs, 0, done)
}

func (h heir) compare(o heir) int {
	return cmp.Or(cmp.Compare(h.Hour, o.Hour), cmp.Compare(h.To, o.To), cmp.Compare(h.From, o.From))
}

// ancestor is the token that a new one follows, while that is not settled: its
// baseline serves until then. Nil if there is none.
func (t *tenant) ancestor(e *entity) *entity {
	if e.Kind != tokenwatch.EntityToken {
		return nil
	}
	for _, h := range t.lives.heirs {
		if string(h.To) == e.ID {
			return t.token(h.From)
		}
	}
	return nil
}

// lifeRecord is what is stored of a life.
type lifeRecord struct {
	_       struct{} `cbor:",toarray"`
	Lineage string
	Tokens  []tokenwatch.TokenID
	Life    baseline.Life
}

// key is what a life is stored under.
func (l *life) key(tenant string) []byte {
	key := appendPart([]byte{recLife}, tenant)
	if l.lineage != "" {
		return appendPart(append(key, 1), l.lineage)
	}
	return appendPart(append(key, 0), string(l.tokens[0]))
}

// load brings a life back.
func (l *lives) load(r *lifeRecord) *life {
	found := &life{Life: r.Life, lineage: r.Lineage, tokens: r.Tokens}
	if found.lineage != "" {
		l.byLineage[found.lineage] = found
	}
	for _, token := range found.tokens {
		l.byToken[token] = found
	}
	return found
}
