package vec

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

// The vector of appendix A of the SipHash paper: key 00…0f, message 00…0e.
func TestHashPaperVector(t *testing.T) {
	var key [16]byte
	msg := make([]byte, 15)
	for i := range key {
		key[i] = byte(i)
	}
	for i := range msg {
		msg[i] = byte(i)
	}
	if got := NewHash(key).String(string(msg)); got != 0xa129ca6149be45e5 {
		t.Errorf("got %x", got)
	}
}

func TestHashUint64IsHashOfItsBytes(t *testing.T) {
	h := NewHash([16]byte{1, 2, 3})
	for range 1000 {
		x := rand.Uint64()
		if h.Uint64(x) != h.String(string(binary.LittleEndian.AppendUint64(nil, x))) {
			t.Fatalf("%x", x)
		}
	}
}

func TestLog10(t *testing.T) {
	for range 100_000 {
		x := math.Exp(rand.Float64()*600 - 300)
		if got, want := Log10(x), math.Log10(x); math.Abs(got-want) > 1e-13*max(1, math.Abs(want)) {
			t.Fatalf("Log10(%g) = %.17g, want %.17g", x, got, want)
		}
	}
}

// Bits that must never change: findings depend on them.
func TestLog10Bits(t *testing.T) {
	for x, want := range map[float64]uint64{
		1:     0,
		10:    math.Float64bits(1),
		0.05:  0xbff4d104d427de80,
		168:   0x4001cd6ef3e3fb8f,
		1e-30: 0xc03e000000000000,
	} {
		if got := math.Float64bits(Log10(x)); got != want {
			t.Errorf("Log10(%g) = %#x (%.17g), want %#x", x, got, Log10(x), want)
		}
	}
}

func TestMilli(t *testing.T) {
	for x, want := range map[float64]int64{0: 0, 1.2345: 1235, -1.2345: -1235, 0.0004: 0} {
		if got := Milli(x); got != want {
			t.Errorf("Milli(%g) = %d, want %d", x, got, want)
		}
	}
}
