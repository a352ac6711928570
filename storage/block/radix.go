package block

import "math/bits"

const (
	radixBits = 11
	radixSize = 1 << radixBits
)

// sortBy orders places by their key, those of equal keys as they are. tmp is as
// long as places and may become the result.
func sortBy(places, tmp []uint32, key func(uint32) uint64, most uint64) (sorted, spare []uint32) {
	for shift := 0; shift < bits.Len64(most); shift += radixBits {
		var count [radixSize]uint32
		for _, p := range places {
			count[key(p)>>shift&(radixSize-1)]++
		}
		at := uint32(0)
		for i, n := range count {
			count[i] = at
			at += n
		}
		for _, p := range places {
			k := key(p) >> shift & (radixSize - 1)
			tmp[count[k]] = p
			count[k]++
		}
		places, tmp = tmp, places
	}
	return places, tmp
}

// sortByTime orders places by their time, those without one first, those of
// equal times as they are. time and has take places.
func sortByTime(places, tmp []uint32, time func(uint32) int64, has func(uint32) bool) (sorted, spare []uint32) {
	least, any, nulls := int64(0), false, false
	for _, p := range places {
		switch t := time(p); {
		case !has(p):
			nulls = true
		case !any || t < least:
			least, any = t, true
		}
	}
	scale := uint64(0) // of all distances: times in milliseconds are held in nanoseconds
	for _, p := range places {
		if d := uint64(time(p)) - uint64(least); has(p) && scale != 1 && (scale == 0 || d%scale != 0) {
			for d != 0 {
				scale, d = d, scale%d
			}
		}
	}
	scale = max(scale, 1)
	keys := make([]uint64, len(places))
	most := uint64(0)
	for _, p := range places {
		if has(p) {
			keys[p] = (uint64(time(p)) - uint64(least)) / scale
			most = max(most, keys[p])
		}
	}
	places, tmp = sortBy(places, tmp, func(p uint32) uint64 { return keys[p] }, most)
	if nulls {
		places, tmp = sortBy(places, tmp, func(p uint32) uint64 {
			if has(p) {
				return 1
			}
			return 0
		}, 1)
	}
	return places, tmp
}
