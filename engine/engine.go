// Package engine follows the log and finds what is out of the ordinary.
//
// Entries of the log come in, Steps go out: findings and their revisions, how far
// the log was read, and now and then a snapshot of what is usual for whom. The
// engine is a function of the log: it reads no clock, no network and no
// randomness, and time comes from events and logged ticks only. So equal logs give
// equal settled findings, live or replayed, on any number of shards; and after a
// restart the engine reads on from the last snapshot, and keeps to itself what an
// earlier Step has told already.
//
// Every batch is scored at once against settled baselines and the entities' own
// earlier open windows; baselines learn only from windows that have settled.
package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/detect"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/policy"
	"github.com/tokenwatch/tokenwatch/engine/sigma"
	"github.com/tokenwatch/tokenwatch/engine/vec"
	"github.com/tokenwatch/tokenwatch/storage"
)

// Config says how the engine works. The zero value works, but for Key, which
// should be the store's own.
type Config struct {
	// Key makes finding ids and keys the engine's hashes; equal logs give equal
	// findings only under equal keys.
	Key [32]byte
	// Rate is how many false findings the detectors' models expect per entity and
	// week; findings less certain than that are not raised. 0 is 0.05.
	Rate float64
	// Lateness is how long a window waits for late events. 0 is three hours.
	Lateness time.Duration
	// Shards is how many parts of the entities work in parallel. 0 is one for
	// each processor.
	Shards int
	// ResidentBytes is how much memory packed baselines may take. Beyond it those of
	// entities that have done nothing for longest are left to the state, where it has
	// them by key (storage.Values). 0 is 64 MiB.
	ResidentBytes int
	// Without names detectors that are left out.
	Without []string
	// Entities is how many tokens, actors and addresses each a tenant may have that
	// are judged, and how many tokens its inventory lists. 0 is 1 Mi.
	Entities int
	// Windows is how many hours of entities a tenant may have open at a time. 0 is 1 Mi.
	Windows int
	// NoPeers judges every entity by itself alone.
	NoPeers bool
	// StepEntries is how many entries without a finding may pass before the
	// cursor is committed. 0 is 64.
	StepEntries int
	// GroupRows is how many rows may be judged together where the engine is behind
	// the log; 1 judges every entry by itself. 0 is 64 Ki.
	GroupRows int
	// SnapshotRows is after how many rows the engine's state is written down, so
	// that a restart need not read further back. 0 is 8 Mi.
	SnapshotRows int
	// Read is called after every entry that was taken in, from the engine's
	// goroutine. May be nil.
	Read func(offset tokenwatch.Offset)
	// Committed is called after every Step, from the engine's goroutine, with the
	// cursor it reached and the findings it raised or revised. May be nil.
	Committed func(cursor tokenwatch.Offset, findings []tokenwatch.Finding)
}

func (c *Config) fill() {
	if c.Rate <= 0 {
		c.Rate = 0.05
	}
	if c.Lateness <= 0 {
		c.Lateness = storage.DefaultLateness
	}
	if c.Entities <= 0 {
		c.Entities = 1 << 20
	}
	if c.Windows <= 0 {
		c.Windows = 1 << 20
	}
	if c.ResidentBytes <= 0 {
		c.ResidentBytes = 64 << 20
	}
	if c.Shards <= 0 {
		c.Shards = runtime.GOMAXPROCS(0)
	}
	if c.StepEntries <= 0 {
		c.StepEntries = 64
	}
	if c.GroupRows <= 0 {
		c.GroupRows = 1 << 16
	}
	if c.SnapshotRows <= 0 {
		c.SnapshotRows = 8 << 20
	}
	if c.Read == nil {
		c.Read = func(tokenwatch.Offset) {}
	}
	if c.Committed == nil {
		c.Committed = func(tokenwatch.Offset, []tokenwatch.Finding) {}
	}
}

// Engine follows one log. It is used by one goroutine.
type Engine struct {
	cfg     Config
	core    *core
	events  storage.Events
	state   storage.State
	taking  sync.Mutex // held while an entry is taken in
	mu      sync.Mutex // tenants, for readers
	tenants map[string]*tenant
	packs   tokenwatch.PolicyPacks // in use
	noted   map[string][32]byte
	cursor  tokenwatch.Offset // last entry taken in
	stale   []storage.Record  // keys of a snapshot laid out otherwise, to be deleted with the first Step
	told    tokenwatch.Offset // up to here, Steps of an earlier run told all there was to tell
	loaded  bool

	group    []tokenwatch.Entry // held back
	grouped  int                // their rows
	features []*feature.Rows    // of the group at hand

	entries int // since the last Step
	rows    int // since the last snapshot
}

// core is what all tenants share.
type core struct {
	key       [32]byte
	hash      vec.Hash
	threshold int
	lateness  time.Duration
	shards    int
	capacity  int // entities of a kind
	windows   int
	noPeers   bool
	detectors []detect.Detector
	byName    map[string]detect.Detector
	log       *batches
	values    storage.Values // nil: nothing can be left to the state
	policies  *policy.Set
	rules     *sigma.Pack
	hushed    bool // an earlier run has told what there is to tell
}

// New makes an engine that reads events and keeps its state in state. It starts
// nothing.
func New(cfg Config, events storage.Events, state storage.State) *Engine {
	cfg.fill()
	c := &core{
		key:       cfg.Key,
		hash:      vec.NewHash([16]byte(cfg.Key[:16])),
		threshold: threshold(cfg.Rate),
		lateness:  cfg.Lateness,
		shards:    cfg.Shards,
		capacity:  cfg.Entities,
		windows:   cfg.Windows,
		noPeers:   cfg.NoPeers,
		byName:    map[string]detect.Detector{},
		log:       &batches{events: events},
		policies:  &policy.Set{},
		rules:     &sigma.Pack{},
	}
	c.values, _ = state.(storage.Values)
	for _, entry := range detect.All {
		if slices.Contains(cfg.Without, entry.Name) {
			continue
		}
		d := entry.New(c.hash)
		c.detectors = append(c.detectors, d)
		c.byName[entry.Name] = d
	}
	return &Engine{cfg: cfg, core: c, events: events, state: state, tenants: map[string]*tenant{}, noted: map[string][32]byte{}}
}

// threshold is the score at which the promised rate is kept, see finding.Score.
func threshold(rate float64) int {
	return int(vec.Milli(30-float64(20*vec.Log10(rate))) / 1000)
}

func (c *core) explain(s tokenwatch.Signal, values []string) string {
	return c.byName[s.Detector].Explain(s, values)
}

// Run follows the log until ctx ends, then commits what it has read and returns
// nil; or returns the error that stopped it.
func (e *Engine) Run(ctx context.Context) error {
	if err := e.load(ctx); err != nil {
		return err
	}
	for entry, err := range e.events.Follow(ctx, e.cursor+1) {
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			return fmt.Errorf("follow the log from offset %d: %w", e.cursor+1, err)
		}
		// A Step that has begun is not cut short: its findings are handed over.
		if err := e.Take(context.WithoutCancel(ctx), entry); err != nil {
			return err
		}
	}
	ctx = context.WithoutCancel(ctx)
	if err := e.flush(ctx); err != nil {
		return err
	}
	if e.rows >= worthSnapshot {
		e.rows = max(e.rows, e.cfg.SnapshotRows)
	}
	return e.commit(ctx)
}

// worthSnapshot is from how many rows on a run that ends writes the state down rather
// than have the next one read them again.
const worthSnapshot = 1 << 16

// RunTo reads the log up to and with offset last, commits, and returns.
func (e *Engine) RunTo(ctx context.Context, last tokenwatch.Offset) error {
	if err := e.load(ctx); err != nil {
		return err
	}
	if e.cursor < last {
		for entry, err := range e.events.Scan(ctx, storage.Range{First: e.cursor + 1, Last: last}) {
			if err == nil {
				err = e.Take(ctx, entry)
			}
			if err != nil {
				return fmt.Errorf("read the log from offset %d: %w", e.cursor+1, err)
			}
		}
	}
	if err := e.flush(ctx); err != nil {
		return err
	}
	return e.commit(ctx)
}

// Take takes in the next entry of the log, and commits a Step if it led to
// something or enough entries have passed. Where the log has more already, batches
// are held back and judged together: the further behind, the less each costs.
func (e *Engine) Take(ctx context.Context, entry tokenwatch.Entry) error {
	next := e.cursor + 1 + tokenwatch.Offset(len(e.group))
	if entry.Offset != next {
		return fmt.Errorf("the log goes on at offset %d, not %d", entry.Offset, next)
	}
	if entry.Batch == nil {
		if err := e.flush(ctx); err != nil {
			return err
		}
		e.group = append(e.group, entry)
		return e.flush(ctx)
	}
	e.group = append(e.group, entry)
	e.grouped += entry.Batch.Rows()
	more := entry.Offset < e.events.Last() && entry.Offset != e.told // what was told is hushed
	if more && e.grouped < e.cfg.GroupRows && len(e.group) < maxGroup {
		return nil
	}
	return e.flush(ctx)
}

// maxGroup bounds how many entries are judged together.
const maxGroup = 64

// flush takes in the entries that were held back.
func (e *Engine) flush(ctx context.Context) error {
	if len(e.group) == 0 {
		return nil
	}
	n := len(e.group)
	e.core.hushed = e.cursor+tokenwatch.Offset(n) <= e.told
	e.taking.Lock()
	err := e.apply()
	e.taking.Unlock()
	if err != nil {
		return err
	}
	e.cursor = e.group[n-1].Offset
	e.entries += n
	control := e.group[n-1].Control
	e.core.log.current(nil)
	clear(e.group)
	e.group, e.grouped = e.group[:0], 0
	defer func() {
		for i := range n {
			e.cfg.Read(e.cursor - tokenwatch.Offset(n-1-i))
		}
	}()
	if e.cursor <= e.told {
		e.hush()
		return nil
	}
	// The store merges what a Step has covered: at a tick nothing is left over, so
	// that a log in which nothing else comes any more is covered whole.
	due := control != nil && (control.Kind == tokenwatch.ControlEnd || control.Kind == tokenwatch.ControlTick && e.entries > 1)
	if due || e.concluded() || e.entries >= e.cfg.StepEntries || e.rows >= e.cfg.SnapshotRows || e.crowded() {
		return e.commit(ctx)
	}
	return nil
}

// apply takes in a group: batches, or one control record.
func (e *Engine) apply() error {
	if entry := e.group[0]; entry.Batch == nil {
		return e.control(entry)
	}
	e.core.log.current(e.group)
	for len(e.features) < len(e.group) {
		e.features = append(e.features, new(feature.Rows))
	}
	byTenant := map[string][]*feature.Rows{}
	for i := range e.group {
		entry, r := &e.group[i], e.features[i]
		r.Read(entry.Batch, entry.Offset, e.core.hash)
		e.tenant(entry.Tenant).health.observe(*entry, r)
		byTenant[entry.Tenant] = append(byTenant[entry.Tenant], r)
		e.rows += entry.Batch.Rows()
	}
	for _, name := range slices.Sorted(maps.Keys(byTenant)) {
		if err := e.tenant(name).take(byTenant[name]); err != nil {
			return err
		}
	}
	for _, r := range e.features {
		r.Release()
	}
	clear(e.features[min(len(e.features), maxFeatures):])
	e.features = e.features[:min(len(e.features), maxFeatures)]
	return nil
}

// maxFeatures is for how many batches of a group memory is kept.
const maxFeatures = 8

// control takes in a control record.
func (e *Engine) control(entry tokenwatch.Entry) error {
	switch entry.Control.Kind {
	case tokenwatch.ControlSuppression:
		return nil // of readers: it changes no finding
	case tokenwatch.ControlTable, tokenwatch.ControlLink, tokenwatch.ControlPolicy, tokenwatch.ControlVerdict:
		if err := e.learn(entry); err != nil {
			return fmt.Errorf("read the control record at log offset %d: %w", entry.Offset, err)
		}
		return nil
	}
	clear(e.features)
	e.features = e.features[:0] // a minute has passed: what was used for one batch of many rows need not be kept
	for _, name := range e.concerned(entry.Tenant) {
		var err error
		switch entry.Control.Kind {
		case tokenwatch.ControlTick:
			err = e.tenants[name].tick(entry.Time)
		case tokenwatch.ControlEnd:
			err = e.tenants[name].end()
		default:
			err = fmt.Errorf("log offset %d holds a control record of kind %q, which is not known here", entry.Offset, entry.Control.Kind)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// learn takes in a control record that says something of tokens, or how to judge
// them.
func (e *Engine) learn(entry tokenwatch.Entry) error {
	body := entry.Control.Body
	switch entry.Control.Kind {
	case tokenwatch.ControlPolicy:
		packs, err := tokenwatch.DecodePolicyPacks(body)
		if err != nil {
			return err
		}
		e.noted[NotedPolicies] = sha256.Sum256(body)
		return e.usePolicies(packs)
	case tokenwatch.ControlTable:
		t, err := tokenwatch.DecodeTable(body)
		if err != nil {
			return err
		}
		e.noted[entry.Tenant+"/"+t.Name] = t.Digest
		if t.Name != tokenwatch.TableInventory {
			return nil
		}
		tenant := e.tenant(entry.Tenant)
		tenant.learnInventory(&t)
		g := tenant.guard
		return g.learned(g.inv.Import(&t, entry.Time.UnixNano(), tenant.next(), entry.Offset), entry.Offset)
	case tokenwatch.ControlVerdict:
		v, err := tokenwatch.DecodeVerdict(body)
		if err != nil {
			return err
		}
		tenant := e.tenant(entry.Tenant)
		tenant.verdicts.Take(&v) // of what has not settled, from here on
		tenant.moved = true
		return nil
	default:
		l, err := tokenwatch.DecodeLink(body)
		if err != nil {
			return err
		}
		tenant := e.tenant(entry.Tenant)
		if l.Kind == tokenwatch.LinkFollows {
			tenant.lives.follow(heir{Hour: max(tenant.next(), int32(tenant.watermark.Greatest()/int64(time.Hour))), From: l.A, To: l.B})
		}
		g := tenant.guard
		return g.learned(g.inv.Link(&l, entry.Time.UnixNano(), tenant.next(), entry.Offset), entry.Offset)
	}
}

// usePolicies has all tenants go by other policies and rules from here on. Rules
// that cannot be compiled do not run; whoever put them there was told.
func (e *Engine) usePolicies(p tokenwatch.PolicyPacks) error {
	set, err := policy.Compile(p.Packs...)
	if err != nil {
		return err
	}
	loader := sigma.Loader{Placeholders: p.Placeholders}
	for _, f := range p.Rules {
		loader.Load(f.Name, f.Text)
	}
	e.packs, e.core.policies, e.core.rules = p, set, loader.Compile()
	for _, t := range e.sortedTenants() {
		t.watch.use(e.core.rules)
		if err := t.guard.use(set); err != nil {
			return err
		}
	}
	return nil
}

// concerned lists the tenants a control record is about, in order of name.
func (e *Engine) concerned(tenant string) []string {
	var names []string
	for name := range e.tenants {
		if tenant == "" || tenant == name {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (e *Engine) tenant(name string) *tenant {
	t, ok := e.tenants[name]
	if !ok {
		name = strings.Clone(name)
		t = newTenant(e.core, name)
		e.mu.Lock()
		e.tenants[name] = t
		e.mu.Unlock()
	}
	return t
}

// concluded tells whether there is something a reader is waiting for.
func (e *Engine) concluded() bool {
	for _, t := range e.tenants {
		for _, s := range t.shards {
			if len(s.out) > 0 {
				return true
			}
		}
		if len(t.guard.out) > 0 || len(t.watch.out) > 0 || len(t.health.out) > 0 {
			return true
		}
	}
	return false
}

// hush drops findings that an earlier run has told.
func (e *Engine) hush() {
	for _, t := range e.tenants {
		for _, s := range t.shards {
			s.out, s.told = s.out[:0], s.told[:0]
		}
		t.guard.out, t.watch.out, t.health.out = t.guard.out[:0], t.watch.out[:0], t.health.out[:0]
	}
}

// errNoBatch is what evidence that points at a control record would give.
var errNoBatch = errors.New("entry holds no batch")

// batches reads single batches of the log, for evidence. It remembers the entry
// at hand and the few it read last.
type batches struct {
	mu     sync.Mutex // shards ask at the same time
	events storage.Events
	recent [4]tokenwatch.Entry
	next   int
	now    []tokenwatch.Entry // dense
}

func (l *batches) current(group []tokenwatch.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = group
}

// Row returns a batch that holds the row a reference points at, and its place.
func (l *batches) Row(ref tokenwatch.EventRef) (*tokenwatch.Batch, int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.now); n > 0 && ref.Offset >= l.now[0].Offset && ref.Offset <= l.now[n-1].Offset {
		return l.now[ref.Offset-l.now[0].Offset].Batch, int(ref.Row), nil
	}
	if rows, ok := l.events.(storage.Rows); ok {
		b, row, err := rows.Row(context.Background(), ref)
		if err != nil {
			return nil, 0, fmt.Errorf("read evidence at log offset %d: %w", ref.Offset, err)
		}
		return b, row, nil
	}
	b, err := l.batch(ref.Offset)
	return b, int(ref.Row), err
}

// batch returns the batch of the entry at an offset.
func (l *batches) batch(offset tokenwatch.Offset) (*tokenwatch.Batch, error) {
	for i := range l.recent {
		if l.recent[i].Offset == offset {
			return l.recent[i].Batch, nil
		}
	}
	for entry, err := range l.events.Scan(context.Background(), storage.Range{First: offset, Last: offset}) {
		if err != nil {
			return nil, fmt.Errorf("read evidence at log offset %d: %w", offset, err)
		}
		if entry.Batch == nil {
			return nil, errNoBatch
		}
		l.recent[l.next] = entry
		l.next = (l.next + 1) % len(l.recent)
		return entry.Batch, nil
	}
	return nil, fmt.Errorf("read evidence at log offset %d: %w", offset, storage.ErrNotFound)
}
