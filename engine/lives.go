package engine

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/baseline"
	"github.com/tokenwatch/tokenwatch/engine/finding"
)

// lives is what audit trails and inventories tell of a tenant's tokens. It changes
// between batches only, while no shard works.
type lives struct {
	byToken   map[tokenwatch.TokenID]*life
	byLineage map[string]*life
	changed   map[*life]struct{} // since the snapshot
	heirs     []heir             // of rotations that have not settled, in order
	minted    []*life            // by tokens, in hours that have not settled
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
	from     *entity // of From, while a batch is judged; nil if there is none
}

func newLives() lives {
	return lives{map[tokenwatch.TokenID]*life{}, map[string]*life{}, map[*life]struct{}{}, nil, nil}
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
			found.Decoy = found.Decoy || alone.Decoy
			if found.Mint.Millis == 0 && alone.Mint.Millis != 0 {
				found.Mint = alone.Mint
				if at := slices.Index(l.minted, alone); at >= 0 {
					l.minted[at] = found
				}
			}
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
		if f.Kind == tokenwatch.FactCreated {
			t.learnMint(f, at/1e6, minter(b, f.Row))
		}
	}
}

// minter names the token that row i of an audit trail was done with, "" if it was none:
// by what came with the request, or as the actor token:ID.
func minter(b *tokenwatch.Batch, i int) string {
	if lineage, ok := strings.CutPrefix(b.Text(tokenwatch.ColActor, i), "token:"); ok {
		return lineage
	}
	return b.Text(tokenwatch.ColToken, i)
}

// learnMint notes which token made another one. Of several that are said to have, the
// earliest counts.
func (t *tenant) learnMint(f tokenwatch.Fact, millis int64, by string) {
	if by == "" || by == f.Lineage || by == string(f.Token) || f.Token == "" && f.Lineage == "" {
		return
	}
	l := t.lives.of(f.Token, f.Lineage)
	mint := baseline.Mint{Millis: millis, By: strings.Clone(by), Depth: 1}
	if l.Mint.Millis != 0 && (l.Mint.Millis < mint.Millis || l.Mint.Millis == mint.Millis && l.Mint.By <= mint.By) {
		return
	}
	l.Mint = mint
	if !slices.Contains(t.lives.minted, l) {
		t.lives.minted = append(t.lives.minted, l)
	}
}

// parent finds the life of the token that made one, nil if nothing is known of it.
func (l *lives) parent(m *baseline.Mint) *life {
	if p := l.byLineage[m.By]; p != nil {
		return p
	}
	return l.byToken[tokenwatch.TokenID(m.By)]
}

// judgeMints works out what there was to tokens that made others in hours before the
// one that settles next.
func (t *tenant) judgeMints(hour int32) {
	slices.SortFunc(t.lives.minted, func(a, b *life) int {
		return cmp.Or(cmp.Compare(a.Mint.Millis, b.Mint.Millis), cmp.Compare(a.lineage, b.lineage), slices.Compare(a.tokens, b.tokens))
	})
	done := 0
	for _, l := range t.lives.minted {
		m := &l.Mint
		at := int32(m.Millis / 3600_000)
		if at >= hour {
			break
		}
		done++
		m.Judged = true
		t.lives.changed[l] = struct{}{}
		p := t.lives.parent(m)
		if p == nil {
			p = &life{tokens: []tokenwatch.TokenID{tokenwatch.TokenID(m.By)}} // of which nothing is told
		}
		if p.Mint.Millis != 0 && p.Mint.Millis <= m.Millis && m.Millis-p.Mint.Millis < 24*3600_000 {
			m.Depth = min(p.Mint.Depth, 100) + 1
		}
		for _, token := range p.tokens {
			if e := t.called(t.settledID(token)); e != nil {
				m.Odd = m.Odd || e.oddBy(at)
			}
		}
	}
	t.lives.minted = slices.Delete(t.lives.minted, 0, done)
}

func (t *tenant) learnFact(f tokenwatch.Fact, millis int64) {
	if f.Token == "" && f.Lineage == "" {
		return
	}
	l := t.lives.of(f.Token, f.Lineage)
	t.tie(l)
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
		if h := (heir{Hour: int32(millis / 3600_000), From: f.Previous, To: f.Token}); f.Token != "" && h.Hour >= t.settled {
			t.lives.follow(h)
		}
	case tokenwatch.FactLeaked:
		m.Token = f.Token
	case tokenwatch.FactUsed, tokenwatch.FactDenied, tokenwatch.FactOwnerLeft:
		return // nothing that detection asks for
	}
	l.Add(m)
	t.tie(l)
}

// follow notes that a token goes on where another one ends.
func (l *lives) follow(h heir) {
	if !slices.ContainsFunc(l.heirs, func(o heir) bool { return o.compare(h) == 0 }) {
		l.heirs = append(l.heirs, h)
	}
}

// oddBy tells whether the entity was anomalous on the day of an hour, up to and with it.
func (e *entity) oddBy(hour int32) bool {
	in := e.existing(hour / 24)
	return in != nil && slices.ContainsFunc(in.Hours, func(h finding.Hour) bool {
		return h.Hour <= hour && finding.Score(h.Rate) >= odd
	})
}

// findHeirs looks up whom tokens follow, while no shard works: each may belong to
// another one.
func (t *tenant) findHeirs() (err error) {
	for i := range t.lives.heirs {
		h := &t.lives.heirs[i]
		if h.from, err = t.token(h.From); err != nil {
			return err
		}
	}
	return nil
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

// learnInventory takes in an imported inventory. It holds for hours that have not settled
// at its place in the log.
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
		l.Decoy = isDecoy(in)
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

// isDecoy tells whether an inventory calls a token one that nobody should use.
func isDecoy(in *tokenwatch.InventoryToken) bool {
	for _, word := range strings.FieldsFunc(strings.ToLower(in.TokenType+" "+in.Purpose+" "+in.Label), func(r rune) bool { return r < 'a' || r > 'z' }) {
		switch word {
		case "honeytoken", "honeytokens", "canarytoken", "canarytokens", "honeykey", "decoy":
			return true
		}
	}
	return false
}

// tie gives the entities of a life's tokens, as far as they are awake, to it.
func (t *tenant) tie(l *life) {
	for _, token := range l.tokens {
		if e := t.awake(tokenwatch.EntityToken, t.hash.String(string(token))); e != nil {
			e.life = &l.Life
		}
	}
}

// token returns the entity of a token, as of the last hour that settled; nil if there is
// none.
func (t *tenant) token(id tokenwatch.TokenID) (*entity, error) {
	hash := t.hash.String(string(t.settledID(id)))
	return t.shardOf(hash).wake(tokenwatch.EntityToken, hash)
}

// settledID is the id of the token that an id was of in the last hour that settled.
func (t *tenant) settledID(id tokenwatch.TokenID) tokenwatch.TokenID {
	if n := t.namesakes.by[id]; n != nil {
		return n.self()
	}
	return id
}

// inherit gives tokens that follow others by rotation, up to and with an hour, the
// baseline of the one before as of that hour.
func (t *tenant) inherit(hour int32) error {
	if len(t.lives.heirs) == 0 {
		return nil
	}
	slices.SortFunc(t.lives.heirs, heir.compare)
	done := 0
	for _, h := range t.lives.heirs {
		if h.Hour > hour {
			break
		}
		done++
		from, err := t.token(h.From)
		if err != nil {
			return err
		}
		if from == nil || from.usual.Hours == 0 {
			continue
		}
		id := string(t.settledID(h.To))
		hash := t.hash.String(id)
		to := t.shardOf(hash)
		e, err := to.entity(tokenwatch.EntityToken, hash, id)
		if err != nil {
			return err
		}
		if e != from && e.usual.Hours == 0 {
			e.usual = from.usual.Clone()
			to.change(e)
		}
	}
	t.lives.heirs = slices.Delete(t.lives.heirs, 0, done)
	return nil
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
			return h.from
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
	if found.Mint.Millis != 0 && !found.Mint.Judged {
		l.minted = append(l.minted, found)
	}
	if found.lineage != "" {
		l.byLineage[found.lineage] = found
	}
	for _, token := range found.tokens {
		l.byToken[token] = found
	}
	return found
}
