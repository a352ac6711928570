package baseline

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/tokenwatch/tokenwatch/engine/feature"
)

// random fills whatever it is given: a field that Pack forgets shows.
func random(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int32, reflect.Int64:
		v.SetInt(int64(r.Uint64()) >> (64 - v.Type().Bits() + r.IntN(v.Type().Bits())))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if v.SetUint(0); r.IntN(3) > 0 { // runs of zeros
			v.SetUint(r.Uint64() >> (64 - v.Type().Bits() + r.IntN(v.Type().Bits())))
		}
	case reflect.Array:
		for i := range v.Len() {
			random(r, v.Index(i))
		}
	case reflect.Slice:
		if n := r.IntN(4); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
		}
		for i := range v.Len() {
			random(r, v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "_" {
				random(r, v.Field(i))
			}
		}
	case reflect.Pointer:
		if r.IntN(5) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			random(r, v.Elem())
		}
	default:
		panic("a baseline of " + v.Type().String())
	}
}

// randomUsual is one that could be, as far as Pack leans on it.
func randomUsual(r *rand.Rand) Usual {
	u := New()
	random(r, reflect.ValueOf(&u).Elem())
	if u.Habits == none {
		return u
	}
	end := 0
	for a := range u.Seen.Ends {
		end += r.IntN(5)
		u.Seen.Ends[a] = uint16(end)
	}
	u.Seen.List = nil
	for range end {
		var k Known
		random(r, reflect.ValueOf(&k).Elem())
		if k.Weight %= familiar + 1; r.IntN(3) > 0 {
			k.Day = uint16(u.Last/24 - r.Int32N(40))
		}
		u.Seen.List = append(u.Seen.List, k)
	}
	return u
}

func TestPackedBaselineIsTheSame(t *testing.T) {
	for seed := range uint64(2000) {
		u := randomUsual(rand.New(rand.NewPCG(seed, 1)))
		got, err := Unpack(u.Pack(nil))
		if err != nil || !reflect.DeepEqual(got, u) {
			t.Fatalf("seed %d: %v\nwant %+v %+v\n got %+v %+v", seed, err, u, u.Habits, got, got.Habits)
		}
	}
}

// TestPackedBaselineIsSmall packs a month of a token that is busy around the clock,
// and of an address that many came from.
func TestPackedBaselineIsSmall(t *testing.T) {
	u, delta := New(), new(Peers)
	for h := range int32(30 * 24) {
		w := hourOf(480000+h, 1<<32, 2<<32, 3<<32, uint64(h%9)<<33)
		w.Events = uint32(200 + h%24)
		u.Learn(w, ordinary(delta))
	}
	if n := len(u.Pack(nil)); n > 700 {
		t.Errorf("a busy token takes %d bytes", n)
	}
	if n := len((&Usual{First: 480000, Last: 480720, Origins: 30 * Unit, Shared: 5, Habits: none}).Pack(nil)); n > 32 {
		t.Errorf("an address without habits takes %d bytes", n)
	}
}

// FuzzUnpack: what can be read packs into what reads as the same.
func FuzzUnpack(f *testing.F) {
	for seed := range uint64(8) {
		u := randomUsual(rand.New(rand.NewPCG(seed, 2)))
		f.Add(u.Pack(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		u, err := Unpack(b)
		if err != nil {
			return
		}
		for a := range feature.NumAxes {
			_ = u.Seen.On(a)
		}
		packed := u.Pack(nil)
		again, err := Unpack(packed)
		if err != nil || !bytes.Equal(again.Pack(nil), packed) {
			t.Errorf("%x packs into %x: %v", b, packed, err)
		}
	})
}
