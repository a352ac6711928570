package baseline

import (
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

// Epoch is what all entities of a tenant taken together are like, as of the
// last hour that settled. It is made of counts only, and what does not fit is
// dropped once all of the hour's changes are in: so neither the order in which
// entities settle within the hour matters, nor how shards share them out.
type Epoch struct {
	_     struct{} `cbor:",toarray"` // stored without the names of its fields
	Hour  int32
	Begun int32 // hour that settled first
	Kinds [tokenwatch.NumEntityKinds]Peers
	// Groups are of the same kind and way of working, see Usual.Group. What values
	// they know is left to Kinds.
	Groups [NumGroups]Peers
	days   int64 // of tokens that the tails have seen, see Reserve
	// Marks is how many active hours of tokens there had been when the last two days
	// began, the latest first.
	Marks [2]uint64
}

// Busy tells whether the day before one was no holiday, and the log was not cut off: at
// least half as many tokens' hours were active ones as on the day before that.
func (e *Epoch) Busy(day int32) bool {
	if e.Hour/24 != day-1 {
		return false
	}
	yesterday, before := e.Kinds[tokenwatch.EntityToken].Active-e.Marks[0], e.Marks[0]-e.Marks[1]
	return 2*yesterday >= before
}

// Ready works out what an epoch read from a store leaves to be worked out.
func (e *Epoch) Ready() {
	e.count()
	for g := range e.Groups {
		e.Groups[g].Tails.fit()
	}
}

// Settle takes in what the settling of an hour changed, a delta for each shard.
func (e *Epoch) Settle(hour int32, deltas []Epoch) {
	if hour/24 != e.Hour/24 {
		for g := range e.Groups {
			e.Groups[g].Tails.pass()
		}
		e.Marks = [2]uint64{e.Kinds[tokenwatch.EntityToken].Active, e.Marks[0]}
	}
	e.Hour = hour
	if e.Begun == 0 {
		e.Begun = hour
	}
	for g := range e.Groups {
		for i := range deltas {
			e.Groups[g].add(&deltas[i].Groups[g])
		}
		e.Groups[g].Tails.fit()
	}
	e.count()
	for k := range e.Kinds {
		p := &e.Kinds[k]
		for i := range deltas {
			p.add(&deltas[i].Kinds[k])
		}
		for i := range deltas {
			p.forget(&deltas[i].Kinds[k])
		}
		for a := range feature.NumAxes {
			p.trim(a)
		}
	}
}

// Peers is an Epoch's part about one kind of entity.
type Peers struct {
	_          struct{}                `cbor:",toarray"`
	Entities   uint32                  // that have a first hour behind them
	FirstNovel [feature.NumAxes]uint32 // values seen in these first hours, over all
	Origins    uint32                  // ordinary hours whose origins are known
	Concurrent uint32                  // of these, with two networks in use at once
	Steady     uint32                  // ordinary active hours of entities that have settled in
	News       [feature.NumAxes]uint32 // of these, with something new
	Values     [feature.NumAxes]uint32 // how many new values that was
	Popular    [feature.NumAxes]uint32 // of the hours with something new: with nothing that is not usual for the peers
	Unheard    [feature.NumAxes]uint32 // of these: with something that none of the peers is known for
	Beside     uint32                  // of the hours with a new network: with two in use at once
	Shares     [newShares]uint32       // hours of new actions by how much of the hour is of them, see shareOf
	Active     uint64                  // ordinary active hours of all
	Faults     [feature.NumFaults]uint64
	Tails      Tails
	Far        [13]uint32 // steady hours by Volume.distance
	// Kinds is of what kind the networks were that became usual to steady entities,
	// by the upper half of its hash.
	Kinds map[uint32]uint32
	// Known is by how many entities each value is known.
	Known [feature.NumAxes]map[uint32]uint32
	// gone is, in a delta, how many entities have forgotten each value.
	gone [feature.NumAxes]map[uint32]uint32
}

// news is what an hour brings that is new on an axis.
type news struct {
	values  uint32 // that are new
	popular uint32 // of these, that are usual for the peers
	unheard uint32 // of these, that none of the peers is known for
	events  uint32 // with new values
}

// brought notes an ordinary hour that brought new values.
func (p *Peers) brought(a feature.Axis, first, steady bool, n news, w *window.Window) {
	if first {
		p.FirstNovel[a] += n.values
	}
	if !steady {
		return
	}
	p.News[a]++
	p.Values[a] += n.values
	if n.popular == n.values {
		p.Popular[a]++
	}
	if n.unheard > 0 {
		p.Unheard[a]++
	}
	switch a {
	case feature.Network:
		if Concurrent(w) {
			p.Beside++
		}
	case feature.Action:
		if of, ok := shareOf(n.events, w.Events); ok {
			p.Shares[of]++
		}
	}
}

// newShares is how many classes of shares there are, see shareOf.
const newShares = 4

// shareOf is the class of the share that n of an hour's events are: below a quarter, a
// half, three quarters, or above. Of fewer than eight events it says nothing.
func shareOf(n, events uint32) (int, bool) {
	if events < 8 {
		return 0, false
	}
	return int(min(n*newShares/events, newShares-1)), true
}

// share is the probability that at least so much of an hour with new actions is of
// them. Before peers have taught us better, each class is half as frequent as the one
// below.
func (p *Peers) share(class int, prior float64) float64 {
	const hours = 20
	if p == nil {
		return prior
	}
	var n, all uint32
	for c, x := range p.Shares {
		all += x
		if c >= class {
			n += x
		}
	}
	return (float64(hours*prior) + float64(n)) / (hours + float64(all))
}

// unheard is the share of hours with something unusual for the peers in which some of
// that is known of nobody.
func (p *Peers) unheard(a feature.Axis, prior float64) float64 {
	const hours = 20
	if p == nil {
		return prior
	}
	return (float64(hours*prior) + float64(p.Unheard[a])) / (hours + float64(p.News[a]-p.Popular[a]))
}

// beside is the share of hours with a new network in which another is in use meanwhile.
func (p *Peers) beside(prior float64) float64 {
	const hours = 20
	if p == nil {
		return prior
	}
	return (float64(hours*prior) + float64(p.Beside)) / (hours + float64(p.News[feature.Network]))
}

// heard tells whether any of the peers is known for a value.
func (p *Peers) heard(a feature.Axis, hash uint64) bool {
	return p != nil && p.Known[a][fingerprint(hash)] > 0
}

// maxKinds bounds the kinds of networks; there are a handful.
const maxKinds = 64

func (p *Peers) moved(kind uint64) {
	if p.Kinds == nil {
		p.Kinds = make(map[uint32]uint32)
	}
	p.Kinds[fingerprint(kind)]++
}

// KindShare is the share of a kind of network among those that became usual to the
// peers after others.
func (p *Peers) KindShare(kind uint64) float64 {
	const moves, share = 8, 0.3
	if p == nil || kind == 0 {
		return share
	}
	all := uint32(0)
	for _, n := range p.Kinds {
		all += n
	}
	return (moves*share + float64(p.Kinds[fingerprint(kind)])) / (moves + float64(all))
}

func (p *Peers) far(distance int) { p.Far[distance]++ }

// farther is the share of active hours that are at least that far from all hours
// of the day at which the entity was active before. Before peers have taught us
// better, each hour of distance halves it.
func (p *Peers) farther(distance int, prior float64) float64 {
	if p == nil {
		return prior
	}
	var n, all uint32
	for d, x := range p.Far {
		all += x
		if d >= distance {
			n += x
		}
	}
	const hours = 500
	return (float64(hours*prior) + float64(n)) / (hours + float64(all))
}

// teach notes an ordinary active hour.
func (p *Peers) teach(w *window.Window, first, steady bool) {
	if first {
		p.Entities++
	}
	if steady {
		p.Steady++
	}
	p.Active++
	for f, n := range w.Faults {
		p.Faults[f] += uint64(n)
	}
}

// MaxPeerValues bounds the values counted per kind and axis.
const MaxPeerValues = 1 << 17

// shared tells whether the peers' values of an axis are counted.
func shared(a feature.Axis) bool { return a != feature.Address && a != feature.Agent }

func (p *Peers) note(a feature.Axis, hash uint32, by int) {
	if !shared(a) {
		return
	}
	m := &p.Known[a]
	if by < 0 {
		m = &p.gone[a]
	}
	if *m == nil {
		*m = make(map[uint32]uint32)
	}
	(*m)[hash]++
}

// add adds what a delta counts.
func (p *Peers) add(delta *Peers) {
	p.Entities += delta.Entities
	p.Origins += delta.Origins
	p.Concurrent += delta.Concurrent
	p.Steady += delta.Steady
	p.Active += delta.Active
	p.Beside += delta.Beside
	for i := range p.Shares {
		p.Shares[i] += delta.Shares[i]
	}
	p.Tails.add(&delta.Tails)
	for d := range p.Far {
		p.Far[d] += delta.Far[d]
	}
	for kind, n := range delta.Kinds {
		if p.Kinds == nil {
			p.Kinds = make(map[uint32]uint32)
		}
		if _, ok := p.Kinds[kind]; ok || len(p.Kinds) < maxKinds {
			p.Kinds[kind] += n
		}
	}
	for f := range p.Faults {
		p.Faults[f] += delta.Faults[f]
	}
	for a := range feature.NumAxes {
		p.FirstNovel[a] += delta.FirstNovel[a]
		p.News[a] += delta.News[a]
		p.Values[a] += delta.Values[a]
		p.Popular[a] += delta.Popular[a]
		p.Unheard[a] += delta.Unheard[a]
		if len(delta.Known[a]) == 0 {
			continue // a group has none
		}
		if p.Known[a] == nil {
			p.Known[a] = make(map[uint32]uint32)
		}
		for hash, n := range delta.Known[a] {
			p.Known[a][hash] += n
		}
	}
}

// forget takes away what entities have forgotten, as far as trim has left it.
func (p *Peers) forget(delta *Peers) {
	for a := range feature.NumAxes {
		for hash, n := range delta.gone[a] {
			if known := p.Known[a][hash]; known > n {
				p.Known[a][hash] = known - n
			} else {
				delete(p.Known[a], hash)
			}
		}
	}
}

// trim drops values known to one entity only, then to two, and so on, until
// the rest fits: a value becomes popular long before it could be dropped.
func (p *Peers) trim(a feature.Axis) {
	for least := uint32(1); len(p.Known[a]) > MaxPeerValues; least++ {
		for hash, n := range p.Known[a] {
			if n <= least {
				delete(p.Known[a], hash)
			}
		}
	}
}

// newcomers is how many different values an entity of a kind is expected to
// show in its first active hour, where no peers have taught us better. They are
// set by judgement, with the shipped trail in view, and not fitted to traffic;
// twenty peers outweigh them.
var newcomers = [tokenwatch.NumEntityKinds][feature.NumAxes]float64{
	tokenwatch.EntityToken:   {feature.Network: 1.5, feature.Address: 2, feature.Country: 1, feature.AgentFamily: 1.5, feature.Agent: 2, feature.Action: 8, feature.ActionClass: 2, feature.Area: 3},
	tokenwatch.EntityActor:   {feature.Network: 1.5, feature.Address: 2, feature.Country: 1, feature.AgentFamily: 1.5, feature.Agent: 2, feature.Action: 8, feature.ActionClass: 2, feature.Area: 3},
	tokenwatch.EntityAddress: {feature.Network: 1, feature.Address: 1, feature.Country: 1, feature.AgentFamily: 2, feature.Agent: 2, feature.Action: 10, feature.ActionClass: 2, feature.Area: 4},
}

// priorEntities is how many peers the built-in expectation counts as.
const priorEntities = 20

// firstHour is the expected number of values in a first hour, shrunk from what
// peers showed towards the built-in expectation.
func (p *Peers) firstHour(kind tokenwatch.EntityKind, a feature.Axis) float64 {
	prior := newcomers[kind][a]
	if p == nil {
		return prior
	}
	return (float64(priorEntities*prior) + float64(p.FirstNovel[a])) / float64(priorEntities+p.Entities)
}

// priorHours is how many hours of peers the built-in rates count as.
const priorHours = 1000

// newsRate is the share of hours that bring something new to an entity that has
// settled in, before peers have taught us better.
const newsRate = 0.01

func (p *Peers) news(a feature.Axis, prior float64) float64 {
	if p == nil {
		return prior
	}
	return (float64(priorHours*prior) + float64(p.News[a])) / (priorHours + float64(p.Steady))
}

// more is how many further new values come in an hour that brings any on an axis.
func (p *Peers) more(a feature.Axis) float64 {
	const hours, prior = 20, 0.4
	if p == nil {
		return prior
	}
	return (float64(p.Values[a]-p.News[a]) + hours*prior) / (float64(p.News[a]) + hours)
}

func (p *Peers) unpopular(a feature.Axis, prior float64) float64 {
	const hours = 20
	if p == nil {
		return prior
	}
	return (float64(hours*prior) + float64(p.News[a]-p.Popular[a])) / (hours + float64(p.News[a]))
}

func (p *Peers) popular(a feature.Axis, hash uint64) bool {
	if p == nil || !shared(a) {
		return false
	}
	return p.Known[a][fingerprint(hash)] >= max(3, p.Entities/100)
}

// ConcurrentRate is the share of hours in which an entity of this kind has two
// networks in use at once, shrunk from what peers showed towards prior.
func (p *Peers) ConcurrentRate(prior float64) float64 {
	if p == nil {
		return prior
	}
	return (float64(priorHours*prior) + float64(p.Concurrent)) / (priorHours + float64(p.Origins))
}

// meanEvents is how many events an active hour has.
func (p *Peers) meanEvents(prior float64) float64 {
	const hours = 100
	if p == nil {
		return prior
	}
	var all uint64
	for _, n := range p.Faults {
		all += n
	}
	return (float64(hours*prior) + float64(all)) / (hours + float64(p.Active))
}

// faultRates is how many of all events are answered with each fault, before peers
// have taught us better.
var faultRates = [feature.NumFaults]float64{
	feature.Fine: 1, feature.Unknown: 0.002, feature.Denied: 0.002, feature.NotFound: 0.01,
	feature.Throttled: 0.005, feature.Refused: 0.01, feature.Unavailable: 0.005,
}

func (p *Peers) faultRate(f feature.Fault, prior float64) float64 {
	const events = 5000
	if p == nil {
		return prior
	}
	var all uint64
	for _, n := range p.Faults {
		all += n
	}
	return (float64(events*prior) + float64(p.Faults[f])) / (events + float64(all))
}
