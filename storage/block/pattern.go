package block

import (
	"encoding/binary"

	"github.com/tokenwatch/tokenwatch"
)

// A pattern is what strings of equal length have in common: some places hold
// the same byte in each, all others a digit of one alphabet. Request ids in
// hex, UUIDs with their dashes, ULIDs and token ids are such strings, and take
// no more than their digits are worth. Case and dashes come back as they were.
type pattern struct {
	length   int
	alphabet int
	template []byte // the byte of each fixed place; 0 where a digit stands
	digits   []uint8
}

// alphabet is a set of digits, each worth width bits.
type alphabet struct {
	width  int
	digits string
}

// alphabets by number; the smaller one is preferred. A number keeps its meaning.
var alphabets = [...]alphabet{
	{4, "0123456789abcdef"},
	{4, "0123456789ABCDEF"},
	{5, "abcdefghijklmnopqrstuvwxyz234567"}, // base32 of RFC 4648, lower case
	{5, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"},
	{5, "0123456789ABCDEFGHJKMNPQRSTVWXYZ"}, // Crockford's, as in ULIDs
	{6, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"},
}

// memberOf[b] has bit k set if byte b is a digit of alphabet k; valueIn[k][b]
// is what it is worth there.
var memberOf, valueIn = func() (member [256]uint8, value [len(alphabets)][256]uint8) {
	for k, a := range alphabets {
		for i := range len(a.digits) {
			member[a.digits[i]] |= 1 << k
			value[k][a.digits[i]] = uint8(i)
		}
	}
	return
}()

const (
	maxPattern = 255 // places
	minDigits  = 8   // below, lengths and zstd do as well
	trial      = 64  // strings after which a hopeless list is given up
)

// findPattern looks for the pattern of at least two strings.
func findPattern(s spans) (pattern, bool) {
	if len(s.ends) < 2 {
		return pattern{}, false
	}
	n := int(s.ends[0])
	if n < minDigits || n > maxPattern {
		return pattern{}, false
	}
	for i, end := range s.ends {
		if int(end) != (i+1)*n {
			return pattern{}, false
		}
	}
	first := s.bytes[:n]
	var differs, member [maxPattern]uint8
	for i := range n {
		member[i] = 0xff
	}
	for i := range s.ends {
		v := s.bytes[i*n : (i+1)*n]
		for j, b := range v {
			differs[j] |= b ^ first[j]
			member[j] &= memberOf[b]
		}
		if i == trial {
			if _, common := digitsOf(differs[:n], member[:n]); common == 0 {
				return pattern{}, false
			}
		}
	}
	digits, common := digitsOf(differs[:n], member[:n])
	if common == 0 || len(digits) < minDigits {
		return pattern{}, false
	}
	p := pattern{length: n, template: append([]byte(nil), first...), digits: digits}
	for common>>p.alphabet&1 == 0 {
		p.alphabet++
	}
	for _, j := range digits {
		p.template[j] = 0
	}
	return p, true
}

// digitsOf returns the places that differ, and the alphabets to which all of
// them belong.
func digitsOf(differs, member []uint8) (digits []uint8, common uint8) {
	common = 1<<len(alphabets) - 1
	for j := range differs {
		if differs[j] != 0 {
			digits = append(digits, uint8(j))
			common &= member[j]
		}
	}
	return digits, common
}

// pattern appends s, which has pattern p.
func (e *Encoder) pattern(dst []byte, s spans, p pattern) []byte {
	dst = append(dst, byte(p.alphabet), byte(p.length))
	mask := make([]byte, (p.length+7)/8)
	for _, j := range p.digits {
		tokenwatch.Bitmap(mask).Set(int(j))
	}
	dst = append(dst, mask...)
	for j, b := range p.template {
		if !tokenwatch.Bitmap(mask).At(j) {
			dst = append(dst, b)
		}
	}
	width, value := alphabets[p.alphabet].width, &valueIn[p.alphabet]
	out := grow(e.plane, (len(s.ends)*len(p.digits)*width+7)/8+8)
	var acc uint64
	n, at := 0, 0
	for i := range s.ends {
		v := s.bytes[i*p.length : (i+1)*p.length]
		for _, j := range p.digits {
			acc |= uint64(value[v[j]]) << n
			if n += width; n >= 32 {
				binary.LittleEndian.PutUint32(out[at:], uint32(acc))
				at, acc, n = at+4, acc>>32, n-32
			}
		}
	}
	binary.LittleEndian.PutUint64(out[at:], acc)
	e.plane = out
	return e.section(dst, out[:at+(n+7)/8])
}

// pattern reads n strings of one pattern, and returns their length and text.
func (r *reader) pattern(n int, buf *[]byte) (length int, text []byte) {
	number, length := int(r.byte()), int(r.byte())
	mask := tokenwatch.Bitmap(r.bytes((length + 7) / 8))
	if r.err != nil {
		return 0, nil
	}
	if number >= len(alphabets) || length == 0 {
		r.fail("a pattern has an unknown alphabet or no places")
		return 0, nil
	}
	template := make([]byte, length)
	var digits []uint8
	for j := range template {
		if mask.At(j) {
			digits = append(digits, uint8(j))
		} else {
			template[j] = r.byte()
		}
	}
	a := alphabets[number]
	size := (n*len(digits)*a.width + 7) / 8
	if !r.take(n, length) || n*length > 1<<31-1 {
		r.fail("a pattern claims too much text")
		return 0, nil
	}
	packed := r.section(size, buf)
	if r.err != nil {
		return 0, nil
	}
	text = make([]byte, n*length)
	for i := range n {
		copy(text[i*length:], template)
	}
	if a.width == 4 && len(digits)%2 == 0 {
		putHex(text, length, digits, packed, a.digits)
	} else {
		putDigits(text, length, digits, packed, a)
	}
	return length, text
}

// putDigits puts the packed digits of all strings into their places.
func putDigits(text []byte, length int, places []uint8, packed []byte, a alphabet) {
	var letters [64]byte
	copy(letters[:], a.digits)
	mask := uint64(1)<<a.width - 1
	var acc uint64
	have := 0
	for ; len(text) > 0; text = text[length:] {
		out := text[:length]
		for _, j := range places {
			if have < a.width {
				if len(packed) >= 4 {
					acc |= uint64(binary.LittleEndian.Uint32(packed)) << have
					packed, have = packed[4:], have+32
				} else {
					for _, b := range packed {
						acc |= uint64(b) << have
						have += 8
					}
					packed = nil
				}
			}
			out[j] = letters[acc&mask&63]
			acc >>= a.width
			have -= a.width
		}
	}
}

// putHex is putDigits for an even number of digits of four bits, the usual
// request id: two digits are one byte.
func putHex(text []byte, length int, places []uint8, packed []byte, hex string) {
	var letters [16]byte
	copy(letters[:], hex)
	for ; len(text) > 0; text = text[length:] {
		out := text[:length]
		for k := 0; k+1 < len(places); k += 2 {
			b := packed[0]
			packed = packed[1:]
			out[places[k]], out[places[k+1]] = letters[b&15], letters[b>>4]
		}
	}
}
