package baseline

import (
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
)

// Epoch is what all entities of a tenant taken together are like, as of the
// last hour that settled. It is made of counts only, and what does not fit is
// dropped once all of the hour's changes are in: so neither the order in which
// entities settle within the hour matters, nor how shards share them out.
type Epoch struct {
	_     struct{} `cbor:",toarray"` // stored without the names of its fields
	Hour  int32
	Kinds [tokenwatch.NumEntityKinds]Peers
}

// Settle takes in what the settling of an hour changed, a delta for each shard.
func (e *Epoch) Settle(hour int32, deltas []Epoch) {
	e.Hour = hour
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
	Hours      uint32                  // ordinary hours whose origins are known
	Concurrent uint32                  // of these, with two networks in use at once
	// Known is by how many entities each value is known.
	Known [feature.NumAxes]map[uint64]uint32
	// gone is, in a delta, how many entities have forgotten each value.
	gone [feature.NumAxes]map[uint64]uint32
}

// MaxPeerValues bounds the values counted per kind and axis.
const MaxPeerValues = 1 << 17

func (p *Peers) note(a feature.Axis, hash uint64, by int) {
	m := &p.Known[a]
	if by < 0 {
		m = &p.gone[a]
	}
	if *m == nil {
		*m = make(map[uint64]uint32)
	}
	(*m)[hash]++
}

// add adds what a delta counts.
func (p *Peers) add(delta *Peers) {
	p.Entities += delta.Entities
	p.Hours += delta.Hours
	p.Concurrent += delta.Concurrent
	for a := range feature.NumAxes {
		p.FirstNovel[a] += delta.FirstNovel[a]
		if p.Known[a] == nil {
			p.Known[a] = make(map[uint64]uint32)
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
	tokenwatch.EntityToken:   {feature.Network: 1.5, feature.AgentFamily: 1.5, feature.Route: 8, feature.Action: 8, feature.ActionClass: 2},
	tokenwatch.EntityActor:   {feature.Network: 1.5, feature.AgentFamily: 1.5, feature.Route: 8, feature.Action: 8, feature.ActionClass: 2},
	tokenwatch.EntityAddress: {feature.Network: 1, feature.AgentFamily: 2, feature.Route: 10, feature.Action: 10, feature.ActionClass: 2},
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

// priorHours is how many hours of peers the built-in rate of concurrent use
// counts as.
const priorHours = 1000

// ConcurrentRate is the share of hours in which an entity of this kind has two
// networks in use at once, shrunk from what peers showed towards prior.
func (p *Peers) ConcurrentRate(prior float64) float64 {
	if p == nil {
		return prior
	}
	return (float64(priorHours*prior) + float64(p.Concurrent)) / (priorHours + float64(p.Hours))
}
