package tokenwatch

import "testing"

// TestTakeAndConcat takes rows out of order and joins what is null throughout.
func TestTakeAndConcat(t *testing.T) {
	var b Builder
	for i, method := range []string{"GET", "", "POST", "GET"} {
		var r Row
		r.SetString(ColMethod, method)
		r.SetString(ColPath, "/"+string(rune('a'+i)))
		r.AddAttr([]byte("k"), []byte{byte('0' + i)})
		b.Append(&r)
	}
	all := b.Batch()
	got := all.Take([]uint32{2, 1, 1, 0})
	for i, want := range []struct{ method, path, attr string }{{"POST", "/c", "2"}, {"", "/b", "1"}, {"", "/b", "1"}, {"GET", "/a", "0"}} {
		attr := ""
		got.EachAttr(i, func(_, v string) { attr += v })
		if got.Text(ColMethod, i) != want.method || got.Text(ColPath, i) != want.path || attr != want.attr {
			t.Errorf("row %d: %q %q %q, want %v", i, got.Text(ColMethod, i), got.Text(ColPath, i), attr, want)
		}
	}
	if n := got.Column(ColMethod).Dict.Len(); n != 3 {
		t.Errorf("the dictionary has %d values, want null and two", n)
	}
	null := all.Slice(1, 2)
	joined := Concat(null, null)
	if joined.Rows() != 2 || joined.Has(ColMethod, 1) || joined.Text(ColPath, 1) != "/b" {
		t.Errorf("rows without a method came back as %q %q", joined.Text(ColMethod, 1), joined.Text(ColPath, 1))
	}
}
