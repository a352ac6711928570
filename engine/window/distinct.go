package window

import "slices"

// maxDistinct is how many hashes a Distinct keeps; its standard error is then
// about 1/√maxDistinct, 13 %.
const maxDistinct = 64

// Distinct counts different things by their hashes: exactly while there are few,
// and from then on by the greatest of the maxDistinct smallest ones (Bar-Yossef et
// al., Counting distinct elements in a data stream, 2002). It does not depend on
// the order they come in.
type Distinct struct {
	_      struct{} `cbor:",toarray"`
	Hashes []uint64 // smallest, in order
	Full   bool     // there were more
}

// Add takes a hash in.
func (d *Distinct) Add(h uint64) {
	n := len(d.Hashes)
	if n == maxDistinct && h > d.Hashes[n-1] {
		d.Full = true
		return
	}
	at, ok := slices.BinarySearch(d.Hashes, h)
	if ok {
		return
	}
	d.Hashes = slices.Insert(d.Hashes, at, h)
	if n == maxDistinct {
		d.Full = true
		d.Hashes = d.Hashes[:maxDistinct]
	}
}

// Count is about how many different hashes came.
func (d *Distinct) Count() int64 {
	if !d.Full {
		return int64(len(d.Hashes))
	}
	// (k−1)/U, U the k-th smallest as a part of all hashes, in 32 bits each.
	kth := d.Hashes[maxDistinct-1]>>32 + 1
	return int64((maxDistinct - 1) << 32 / kth)
}

// Run is 64 neighbouring numbers that an action was done to, in order of Place:
// Seen tells which of them. Objects counted through show as full runs.
type Run struct {
	_     struct{} `cbor:",toarray"`
	Place uint64   // digest of the action and the upper part of the number
	Seen  uint64
}

func (w *Window) addRun(action uint64, number int64) {
	place := (action ^ uint64(number)>>6) * 0x9e3779b97f4a7c15
	at, ok := slices.BinarySearchFunc(w.Runs, place, func(r Run, p uint64) int {
		switch {
		case r.Place < p:
			return -1
		case r.Place > p:
			return 1
		default:
			return 0
		}
	})
	if !ok {
		if at == MaxRuns {
			w.Overflow = true
			return
		}
		w.Runs = slices.Insert(w.Runs, at, Run{Place: place})
		if len(w.Runs) > MaxRuns {
			w.Overflow = true
			w.Runs = w.Runs[:MaxRuns]
		}
	}
	w.Runs[at].Seen |= 1 << (uint64(number) & 63)
}
