package block

import (
	"encoding/binary"
	"math/bits"
)

// way is one way in which a text can occur in the strings of a shape: at one place of
// the template, where the slots that it touches must hold what it says. Without any
// clue it always occurs there.
type way []clue

// clue is what must stand in a slot, or in a part of one.
type clue struct {
	class slotClass
	n     int // digits, or numbers, of its class in the string before what is meant

	// The digits from there on, as they are packed, or from one of so many places after.
	mask, value uint64
	slide       int

	// Or the decimal digits that the number must have: at its beginning, its end, both,
	// or anywhere.
	first, last bool
	digits      uint64
	power       uint64 // 10 to how many they are; 0: more than any number has

	word, shift, width int // of its class, for holds
}

// How many ways, and steps on the way to them, are tried before a string is rather
// put together.
const (
	maxWays  = 64
	maxSteps = 1 << 14
)

// maxClue is how many bits of digits one clue looks at: what one load of 8 bytes
// holds from any bit on.
const maxClue = 56

// ways lists how a text can occur in the strings of a shape: not at all if there is
// none. It is false if there are too many.
func (s *shape) ways(text string) ([]way, bool) {
	w := walk{shape: s, text: text, before: make([]int, len(s.parts))}
	var count [numSlots]int
	for i, p := range s.parts {
		if p.text == "" {
			w.before[i] = count[p.class]
			count[p.class] += max(p.n, 1)
		}
	}
	for i, p := range s.parts {
		if p.text != "" || p.class != slotNumber {
			for at := range len(p.text) + p.n {
				w.on(i, at, 0, nil)
			}
			continue
		}
		digits := leadingDigits(text)
		if digits == len(text) {
			w.found(way{decimals(w.before[i], text, false, false)})
		}
		for k := 1; k <= min(digits, len(text)-1); k++ {
			w.on(i+1, 0, k, way{decimals(w.before[i], text[:k], false, true)})
		}
	}
	ways := w.ways[:0]
	for _, next := range w.ways {
		if len(ways) == 0 || !ways[len(ways)-1].slides(next) {
			ways = append(ways, next)
		}
	}
	return ways, !w.over
}

// slides makes one way of two that demand the same digits, the second one place
// further, and tells whether it could.
func (w way) slides(next way) bool {
	if len(w) != 1 || len(next) != 1 || w[0].class == slotNumber || w[0].class != next[0].class {
		return false
	}
	a, b := &w[0], &next[0]
	if a.mask != b.mask || a.value != b.value || a.n+a.slide+1 != b.n || bits.Len64(a.mask)+(a.slide+1)*a.width > maxClue {
		return false
	}
	a.slide++
	return true
}

// walk goes through a shape along a text.
type walk struct {
	shape  *shape
	text   string
	before []int // digits, or numbers, of the class of a slot before it
	ways   []way
	steps  int
	over   bool // there are too many
}

func (w *walk) found(clues way) {
	if w.over = w.over || len(w.ways) == maxWays; !w.over {
		w.ways = append(w.ways, clues)
	}
}

// on goes on with the text from i on, at a place of a part.
func (w *walk) on(part, at, i int, clues way) {
	if w.steps++; w.steps > maxSteps || w.over {
		w.over = true
		return
	}
	clues = clues[:len(clues):len(clues)]
	for ; i < len(w.text); part, at = part+1, 0 {
		if part == len(w.shape.parts) {
			return
		}
		p := &w.shape.parts[part]
		switch n := min(len(p.text)+p.n-at, len(w.text)-i); {
		case p.text != "":
			if p.text[at:at+n] != w.text[i:i+n] {
				return
			}
			i += n
		case p.class != slotNumber:
			for range n {
				if memberOf[w.text[i]]>>(p.class-1)&1 == 0 {
					return
				}
				clues = appendDigit(clues, p.class, w.before[part]+at, w.text[i])
				i, at = i+1, at+1
			}
		default:
			digits := leadingDigits(w.text[i:])
			if i+digits == len(w.text) {
				w.found(append(clues, decimals(w.before[part], w.text[i:], true, false)))
				digits--
			}
			for k := 1; k <= digits; k++ {
				whole := decimals(w.before[part], w.text[i:i+k], true, true)
				w.on(part+1, 0, i+k, append(clues[:len(clues):len(clues)], whole))
			}
			return
		}
	}
	w.found(clues)
}

// leadingDigits is how many decimal digits a text begins with.
func leadingDigits(text string) int {
	n := 0
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	return n
}

// appendDigit demands one more digit, in the last clue if that has room.
func appendDigit(clues way, class slotClass, n int, digit byte) way {
	width := alphabets[class-1].width
	value := uint64(valueIn[class-1][digit])
	if last := len(clues) - 1; last >= 0 && clues[last].class == class && class != slotNumber {
		c := &clues[last]
		if bit := (n - c.n) * width; bit+width <= maxClue {
			c.mask |= (1<<width - 1) << bit
			c.value |= value << bit
			return clues
		}
	}
	c := clue{class: class, n: n, mask: 1<<width - 1, value: value, width: width}
	c.word, c.shift, _ = lane(class)
	return append(clues, c)
}

// decimals demands that a number has some digits.
func decimals(n int, text string, first, last bool) clue {
	c := clue{n: n, first: first, last: last}
	c.word, c.shift, _ = lane(slotNumber)
	if len(text) > maxDecimals {
		return c
	}
	c.power = 1
	for _, b := range []byte(text) {
		c.digits, c.power = 10*c.digits+uint64(b-'0'), 10*c.power
	}
	return c
}

// holds tells whether the slots of a string, of which there are so many before it,
// are as the way demands.
func (w way) holds(s *slots, before *tally) bool {
	for i := range w {
		c := &w[i]
		at := int(uint32(before[c.word]>>c.shift)) + c.n
		if c.class == slotNumber {
			if !c.fits(s.numbers[at]) {
				return false
			}
			continue
		}
		bit := at * c.width
		x := load8(s.digits[c.class], bit>>3) >> (bit & 7)
		hit := x&c.mask == c.value
		for k := 0; k < c.slide && !hit; k++ {
			x >>= c.width & 63
			hit = x&c.mask == c.value
		}
		if !hit {
			return false
		}
	}
	return true
}

// load8 returns up to eight bytes from a place on as a number.
func load8(b []byte, at int) (x uint64) {
	if at+8 <= len(b) {
		return binary.LittleEndian.Uint64(b[at:])
	}
	for i, v := range b[at:] {
		x |= uint64(v) << (8 * i)
	}
	return x
}

// fits tells whether a number is as a clue demands. It has no zeros in front.
func (c *clue) fits(number int64) bool {
	n, least := uint64(max(number, 0)), c.power/10 // of so many digits
	if least == 1 {
		least = 0 // 0 is a digit, too
	}
	if c.power == 0 || n < least {
		return false
	}
	switch {
	case c.first && c.last:
		return n == c.digits && (c.digits >= least)
	case c.first:
		for n >= c.power {
			n /= 10
		}
		return n == c.digits && c.digits >= least
	case c.last:
		return n%c.power == c.digits && (c.digits >= least || n >= c.power)
	default:
		for ; n >= c.power; n /= 10 {
			if n%c.power == c.digits {
				return true
			}
		}
		return n == c.digits && c.digits >= least
	}
}
