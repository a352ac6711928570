package baseline

import (
	"slices"

	"github.com/tokenwatch/tokenwatch/engine/window"
)

// Objects is what an entity touched, as far as a few bytes tell: the least of the
// hashes of all objects it ever touched (Bar-Yossef et al., Counting distinct elements
// in a data stream, 2002), which are a fair sample of them, and how many new ones its
// hours bring. An object whose hash is below the greatest that is kept, and that is not
// kept itself, was never touched before.
type Objects struct {
	_     struct{} `cbor:",toarray"`
	Least []uint32 // upper halves of the least hashes, in order
	Fresh uint32   // new objects of past hours, in 1/volumeUnit; odd hours count less
	Hours uint32   // and the number of these hours, in 1/Unit
}

// maxLeast is how many are kept: of a thousand objects, one in sixty.
const maxLeast = 16

// threshold is up to which hash Least knows all.
func (o *Objects) threshold() uint32 {
	if len(o.Least) < maxLeast {
		return 1<<32 - 1
	}
	return o.Least[maxLeast-1]
}

func (o *Objects) knows(h uint32) bool {
	_, ok := slices.BinarySearch(o.Least, h)
	return ok
}

// fresh counts the new objects of a window that lie in the sample, and what share of
// all objects the sample is.
func (o *Objects) fresh(w *window.Window, seen func(hash uint64) bool) (n int, share float64) {
	limit := o.threshold()
	if hashes := w.Objects.Hashes; w.Objects.Full {
		limit = min(limit, fingerprint(hashes[len(hashes)-1]))
	}
	for _, h := range w.Objects.Hashes {
		if f := fingerprint(h); f <= limit && !o.knows(f) && (seen == nil || !seen(h)) {
			n++
		}
	}
	return n, (float64(limit) + 1) / (1 << 32)
}

// learn takes a window's objects in.
func (o *Objects) learn(w *window.Window, steady, odd bool) {
	if len(w.Objects.Hashes) == 0 {
		return
	}
	if steady {
		n, share := o.fresh(w, nil)
		count := float64(n) / share
		if odd {
			count = min(count, float64(3*o.mean())+3)
		}
		o.Fresh += uint32(min(count, 1<<12) * volumeUnit)
		o.Hours += Unit
	}
	for _, h := range w.Objects.Hashes {
		f := fingerprint(h)
		if f > o.threshold() {
			break // they are in order
		}
		if at, ok := slices.BinarySearch(o.Least, f); !ok {
			o.Least = slices.Insert(o.Least, at, f)
			o.Least = o.Least[:min(len(o.Least), maxLeast)]
		}
	}
}

// mean is how many new objects an hour brings; a new one now and then comes to all.
func (o *Objects) mean() float64 {
	return max(1, (float64(o.Fresh)/volumeUnit+2)/(float64(o.Hours)/Unit+2))
}

func (o *Objects) pass() {
	o.Fresh -= o.Fresh / 42
	o.Hours -= o.Hours / 42
}

// FreshObjects is how many objects of the window lie in the sample of those that are
// known and were never touched before, how many are expected there, and what share of
// all objects the sample is.
func (v *View) FreshObjects(w *window.Window) (n int, expected, share float64) {
	o := &v.Usual.Objects
	n, share = o.fresh(w, func(hash uint64) bool {
		for _, before := range v.Open {
			if _, ok := slices.BinarySearch(before.Objects.Hashes, hash); ok {
				return true
			}
		}
		return false
	})
	return n, float64(o.mean() * share), share
}
