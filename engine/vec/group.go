package vec

// Groups lists the places of each code of a column, without comparing or hashing:
// codes are small and dense, so counting sorts them.
type Groups struct {
	starts []uint32 // one more than there are codes
	places []uint32
}

// Group sorts the places of codes, each below n, by code. It reuses g's memory.
// No codes are no places.
func (g *Groups) Group(codes []uint32, n int) {
	g.starts = append(g.starts[:0], make([]uint32, n+2)...)
	// Counted two to the right of its own place, a code's start is one to the right
	// after summing, and at its place after the last loop has moved it to its end.
	for _, c := range codes {
		g.starts[c+2]++
	}
	for i := 2; i < len(g.starts); i++ {
		g.starts[i] += g.starts[i-1]
	}
	if cap(g.places) < len(codes) {
		g.places = make([]uint32, len(codes))
	}
	g.places = g.places[:len(codes)]
	for i, c := range codes {
		g.places[g.starts[c+1]] = uint32(i)
		g.starts[c+1]++
	}
	g.starts = g.starts[:n+1]
}

// Len is how many codes there are.
func (g *Groups) Len() int { return max(0, len(g.starts)-1) }

// Of returns the places of a code, in order. It is good until the next Group.
func (g *Groups) Of(code int) []uint32 { return g.places[g.starts[code]:g.starts[code+1]] }
