package baseline

import (
	"slices"

	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/vec"
)

// Change is what an hour of an entity brought that it is not known for, and that
// others may share: a new value on an axis, a kind of refusal that comes too often,
// much more of everything, work at odd hours. The upper half says which of these it
// is, the lower one the value, as the upper half of its hash, or else the hour.
type Change uint64

const (
	faultsChanged = uint32(feature.NumAxes)
	amountChanged = faultsChanged + uint32(feature.NumFaults)
	hoursChanged  = amountChanged + 1
)

func change(kind, value uint32) Change { return Change(uint64(kind)<<32 | uint64(value)) }

// NewValue is the change that a new value on an axis is.
func NewValue(a feature.Axis, hash uint64) Change { return change(uint32(a), fingerprint(hash)) }

// FaultsChanged is that an answer of a kind comes too often in an hour.
func FaultsChanged(f feature.Fault, hour int32) Change {
	return change(faultsChanged+uint32(f), uint32(hour))
}

// AmountChanged is that there is much more of everything in an hour.
func AmountChanged(hour int32) Change { return change(amountChanged, uint32(hour)) }

// HoursChanged is that an hour is one of rest.
func HoursChanged(hour int32) Change { return change(hoursChanged, uint32(hour)) }

func (c Change) kind() uint32 { return uint32(c >> 32) }

// Axis tells whether a change is a new value, and on which axis.
func (c Change) Axis() (feature.Axis, bool) { return feature.Axis(c.kind()), c.kind() < faultsChanged }

// Fault tells whether a change is about answers, and of which kind.
func (c Change) Fault() (feature.Fault, bool) {
	return feature.Fault(c.kind() - faultsChanged), c.kind() >= faultsChanged && c.kind() < amountChanged
}

// Amount tells whether a change is that there is much more of everything.
func (c Change) Amount() bool { return c.kind() == amountChanged }

// Where tells whether a change is about where an entity comes from.
func (c Change) Where() bool {
	a, ok := c.Axis()
	return ok && (a == feature.Network || a == feature.Address || a == feature.Country)
}

// Tally counts how many entities changed how in one hour.
type Tally struct {
	Active  uint32 // entities with habits that were active
	Changes map[Change]uint32
}

// Add counts one entity's change, or that of several.
func (t *Tally) Add(c Change, n uint32) {
	if t.Changes == nil {
		t.Changes = map[Change]uint32{}
	}
	t.Changes[c] += n
}

// Merge adds another tally.
func (t *Tally) Merge(o *Tally) {
	t.Active += o.Active
	for c, n := range o.Changes {
		t.Add(c, n)
	}
}

// Causes recognises what came to many entities at once, and remembers it for a
// while: those who are late to it are not odd either.
type Causes struct {
	_      struct{} `cbor:",toarray"`
	Hours  uint32   // active hours of entities with habits, fading
	Odd    [hoursChanged + 1]uint32
	Active uint32           // entities with habits active in the last hour that settled
	Shared map[Change]int32 // until which hour each is nobody's own
	Open   map[Change]int32 // the same while hours are open
}

// Together is at least how many entities make one cause.
const Together = 5

// Follow is for how many hours those who are late to a cause are taken for members.
const Follow = 48

const (
	// certain is −log10 of how often chance may look like one cause, for one change
	// and hour. An hour brings a few dozen changes.
	certain = 5.0
	// coarse and fine are the share of one value among all that are new on an axis,
	// at most: there are few countries and classes, and many addresses and actions.
	coarse, fine = 0.3, 0.1
	// oddly is in which share of hours the other changes come, before that is known.
	oddly = 0.02
)

// expected is how many entities show a change in an hour by chance. peers are of
// the tokens.
func (k *Causes) expected(c Change, active uint32, peers *Peers) float64 {
	rate := 0.0
	switch a, value := c.Axis(); {
	case !value:
		const hours = 2000
		rate = (float64(k.Odd[c.kind()]) + hours*oddly) / (float64(k.Hours) + hours)
	case a == feature.Country || a == feature.ActionClass || a == feature.Area || a == feature.AgentFamily:
		rate = float64(peers.news(a, newsRate) * coarse)
	default:
		rate = float64(peers.news(a, newsRate) * fine)
	}
	return max(float64(float64(active)*rate), 0.05)
}

// Recognise lists the changes of an hour that so many show that chance is ruled
// out, in order: n where λ are expected, by the Chernoff bound of a Poisson number,
//
//	−log10 P ≥ n·log10(n/λ) − (n−λ)/ln 10 ≥ 5
func (k *Causes) Recognise(t *Tally, peers *Peers) []Change {
	var out []Change
	for c, n := range t.Changes {
		if n < Together {
			continue
		}
		m, mean := float64(n), k.Expected(c, t, peers)
		if m > mean && float64(m*vec.Log10(m/mean))-float64((m-mean)*0.4342944819032518) >= certain {
			out = append(out, c)
		}
	}
	slices.Sort(out)
	return out
}

// Expected is how many entities show a change in an hour by chance.
func (k *Causes) Expected(c Change, t *Tally, peers *Peers) float64 {
	return k.expected(c, max(t.Active, k.Active), peers)
}

// Settle takes in an hour that has settled, of whose changes some are nobody's own.
func (k *Causes) Settle(hour int32, t *Tally, shared []Change) {
	if hour%24 == 0 {
		k.Hours -= k.Hours / 20
		for i := range k.Odd {
			k.Odd[i] -= k.Odd[i] / 20
		}
	}
	k.Hours += t.Active
	k.Active = t.Active
	for c, n := range t.Changes {
		if _, value := c.Axis(); !value && !slices.Contains(shared, c) {
			k.Odd[c.kind()] += n
		}
	}
	for c, until := range k.Shared {
		if until < hour {
			delete(k.Shared, c)
		}
	}
	for c, until := range k.Open {
		if until < hour {
			delete(k.Open, c)
		}
	}
	k.Share(hour, shared)
}

// Share takes changes for nobody's own from an hour on.
func (k *Causes) Share(hour int32, shared []Change) {
	for _, c := range shared {
		if k.Shared == nil {
			k.Shared = map[Change]int32{}
		}
		k.Shared[c] = hour + Follow
	}
}

// Foresee takes changes for nobody's own while their hour is open.
func (k *Causes) Foresee(hour int32, shared []Change) {
	for _, c := range shared {
		if k.Open == nil {
			k.Open = map[Change]int32{}
		}
		k.Open[c] = hour + Follow
	}
}

// Now is what is nobody's own in windows that are open.
func (k *Causes) Now() *Common { return &Common{k.Shared, k.Open} }

// Closed is what is nobody's own in windows that settle.
func (k *Causes) Closed() *Common { return &Common{k.Shared, nil} }

// Common is what is nobody's own at the time of a judgement.
type Common struct{ settled, open map[Change]int32 }

// Has tells whether a change is nobody's own. Of no Common, none is.
func (c *Common) Has(change Change) bool {
	if c == nil {
		return false
	}
	if _, ok := c.settled[change]; ok {
		return true
	}
	_, ok := c.open[change]
	return ok
}

// Foreseen tells whether anything is that has not settled.
func (c *Common) Foreseen() bool { return c != nil && len(c.open) > 0 }

func (c *Common) value(a feature.Axis, hash uint64) bool {
	return c != nil && len(c.settled)+len(c.open) > 0 && c.Has(NewValue(a, hash))
}

func (c *Common) print(a feature.Axis, fingerprint uint32) bool {
	return c.Has(change(uint32(a), fingerprint))
}
