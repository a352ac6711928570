package baseline

import (
	"maps"
	"testing"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
	"github.com/tokenwatch/tokenwatch/engine/window"
)

func hourOf(hour int32, actions ...uint64) *window.Window {
	w := &window.Window{Hour: hour, Own: &window.Own{Events: 1}}
	for _, a := range actions {
		w.Axes[feature.Action] = append(w.Axes[feature.Action], window.Value{Hash: a, Count: 1})
	}
	return w
}

// ordinary is the lesson of an hour like any other.
func ordinary(delta *Peers) Lesson { return Lesson{Delta: delta, Group: new(Peers)} }

func TestOrdinaryHoursMakeUsualAtOnceOddOnesSlowly(t *testing.T) {
	u := New()
	var delta Peers
	u.Learn(hourOf(100, 1<<32, 2<<32), ordinary(&delta))
	if !u.Knows(feature.Action, 1<<32) || u.Hours != Unit || len(u.Seen.On(feature.Action)) != 2 {
		t.Errorf("after one hour: %+v", u)
	}
	for i, want := range []bool{false, false, true} {
		l := ordinary(&delta)
		l.Odd = true
		u.Learn(hourOf(101+int32(i), 7<<32), l)
		if got := u.Knows(feature.Action, 7<<32); got != want {
			t.Errorf("after %d odd hours it is known: %v", i+1, got)
		}
	}
	if delta.Known[feature.Action][7] != 1 || delta.Entities != 1 || delta.FirstNovel[feature.Action] != 2 {
		t.Errorf("peers: %+v", delta)
	}
}

func TestWeightHalvesInAMonth(t *testing.T) {
	u := New()
	var delta Peers
	for h := range int32(240) {
		u.Learn(hourOf(1000*24+h, 1), ordinary(&delta))
	}
	before := u.Hours
	u.Learn(hourOf(1000*24+240+29*24, 1), ordinary(&delta))
	if got := float64(u.Hours-Unit) / float64(before); got < 0.48 || got > 0.53 {
		t.Errorf("after 29 days %v of the weight is left", got)
	}
}

func TestForgetsWhatWasNotSeenForLongest(t *testing.T) {
	most := maxKnown[feature.Action]
	u := New()
	var epoch Epoch
	for day := range uint64(most + 100) {
		var delta Epoch
		hour := int32(24 * (day + 1))
		u.Learn(hourOf(hour, (day+1)<<32, 1<<60), ordinary(&delta.Kinds[tokenwatch.EntityToken]))
		epoch.Settle(hour, []Epoch{delta})
	}
	if n := len(u.Seen.On(feature.Action)); n != most {
		t.Errorf("%d values are known", n)
	}
	if u.Knows(feature.Action, 1<<32) || !u.Knows(feature.Action, uint64(most+100)<<32) || !u.Knows(feature.Action, 1<<60) {
		t.Error("the wrong ones were forgotten")
	}
	if n := len(epoch.Kinds[tokenwatch.EntityToken].Known[feature.Action]); n != most {
		t.Errorf("the peers know %d values", n)
	}
}

// TestFirstHourIsTheFirstOfItsOwn: an hour in which others led the events is not
// an entity's first.
func TestFirstHourIsTheFirstOfItsOwn(t *testing.T) {
	u := New()
	var delta Peers
	u.Learn(window.New(99), ordinary(&delta))
	if delta.Entities != 0 {
		t.Errorf("%d entities after an hour that was not its own", delta.Entities)
	}
	u.Learn(hourOf(100, 1<<32, 2<<32), ordinary(&delta))
	u.Learn(hourOf(101, 3<<32), ordinary(&delta))
	if delta.Entities != 1 || delta.FirstNovel[feature.Action] != 2 {
		t.Errorf("%d entities, %d values in first hours", delta.Entities, delta.FirstNovel[feature.Action])
	}
}

// TestOpenWindowsCountAsIfSettled: what a view says of settled hours and of the
// same hours still open is the same.
func TestOpenWindowsCountAsIfSettled(t *testing.T) {
	hours := []*window.Window{hourOf(100, 1<<32, 2<<32), hourOf(101, 2<<32, 3<<32), hourOf(102, 3<<32, 4<<32, 5<<32)}
	settled, fresh := New(), New()
	var delta Peers
	for _, w := range hours {
		settled.Learn(w, ordinary(&delta))
	}
	a := View{Kind: tokenwatch.EntityToken, Usual: &settled}
	b := View{Kind: tokenwatch.EntityToken, Usual: &fresh, Open: hours}
	if a.Hours() != b.Hours() || a.News(feature.Action) != b.News(feature.Action) {
		t.Errorf("settled %v hours, %v news; open %v, %v", a.Hours(), a.News(feature.Action), b.Hours(), b.News(feature.Action))
	}
	for v := range uint64(7) {
		if a.Knows(feature.Action, v<<32) != b.Knows(feature.Action, v<<32) {
			t.Errorf("value %d", v)
		}
	}
	if a.Learning() || !b.Learning() {
		t.Error("learning until the first hour has settled")
	}
}

// TestShardsDoNotMatterToTheEpoch: an epoch that is full keeps the same values
// however the entities of an hour are shared out.
func TestShardsDoNotMatterToTheEpoch(t *testing.T) {
	const kind, axis = tokenwatch.EntityToken, feature.Action
	settle := func(shards int) map[uint32]uint32 {
		var epoch Epoch
		for hour := range int32(3) {
			deltas := make([]Epoch, shards)
			for entity := range 20 {
				p := &deltas[entity%shards].Kinds[kind]
				for v := range uint32(5000) { // a quarter of them are the next entity's as well
					p.note(axis, uint32(hour)*80_000+uint32(entity)*3750+v, 1)
				}
				for v := range uint32(100) {
					p.note(axis, uint32(entity)*3750+v, -1)
				}
			}
			epoch.Settle(hour, deltas)
		}
		return epoch.Kinds[kind].Known[axis]
	}
	one, four := settle(1), settle(4)
	if len(one) == 0 || len(one) > MaxPeerValues {
		t.Fatalf("%d values are kept", len(one))
	}
	if !maps.Equal(one, four) {
		t.Errorf("one shard keeps %d values, four keep %d", len(one), len(four))
	}
}
