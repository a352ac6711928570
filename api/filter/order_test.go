package filter

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

type thing struct {
	id    byte
	name  string
	size  float64
	made  time.Time
	grade string
	good  bool
}

var things = Fields[thing]{
	"name":  Text(func(t *thing) string { return t.name }),
	"size":  Number(func(t *thing) float64 { return t.size }),
	"made":  Time(func(t *thing) time.Time { return t.made }),
	"grade": Ranked([]string{"low", "high"}, func(t *thing) string { return t.grade }),
	"good":  Bool(func(t *thing) bool { return t.good }),
	"tags":  List(func(*thing) []string { return nil }),
}

// random things, few enough of a kind that ties are common.
func some(n int) []thing {
	r := rand.New(rand.NewPCG(1, 2))
	sizes := []float64{math.Inf(-1), -2.5, -1, 0, 1, 1e300}
	made := []time.Time{{}, time.Unix(-5, 3), time.Unix(0, 0), time.Unix(0, 1), time.Unix(1, 0)}
	out := make([]thing, n)
	for i := range out {
		out[i] = thing{
			id: byte(i), name: []string{"", "a", "ab", "b"}[r.IntN(4)], size: sizes[r.IntN(len(sizes))],
			made: made[r.IntN(len(made))], grade: []string{"", "low", "high"}[r.IntN(3)], good: r.IntN(2) == 1,
		}
	}
	return out
}

// TestOrder: keys sort as the fields do, and pages of any size put together are
// the whole in order.
func TestOrder(t *testing.T) {
	compare := map[string]func(a, b *thing) int{
		"name": func(a, b *thing) int { return strings.Compare(a.name, b.name) },
		"size": func(a, b *thing) int { return cmp.Compare(a.size, b.size) },
		"made": func(a, b *thing) int {
			if a.made.IsZero() != b.made.IsZero() {
				if a.made.IsZero() {
					return -1
				}
				return 1
			}
			return a.made.Compare(b.made)
		},
		"grade": func(a, b *thing) int {
			rank := map[string]int{"": 0, "low": 1, "high": 2}
			return rank[a.grade] - rank[b.grade]
		},
		"good": func(a, b *thing) int { return strings.Compare(fmt.Sprint(a.good), fmt.Sprint(b.good)) },
	}
	all := some(200)
	for _, text := range []string{"", "name", "size desc", "made, name desc", "grade desc, size asc, good", " good , made desc"} {
		order, err := ParseOrder(text, things)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		want := slices.Clone(all)
		slices.SortStableFunc(want, func(a, b thing) int {
			for part := range strings.SplitSeq(text, ",") {
				words := strings.Fields(part)
				if len(words) == 0 {
					continue
				}
				if c := compare[words[0]](&a, &b); c != 0 {
					if len(words) == 2 && words[1] == "desc" {
						c = -c
					}
					return c
				}
			}
			return int(a.id) - int(b.id)
		})
		for _, size := range []int{1, 7, 100, 500} {
			var got []byte
			var after []byte
			for {
				page := NewPage[thing](size, after)
				for i := range all {
					page.Add(order.Key(&all[i], all[i].id), all[i])
				}
				values, next := page.Values()
				for _, v := range values {
					got = append(got, v.id)
				}
				if next == nil {
					break
				}
				if bytes.Equal(next, after) {
					t.Fatalf("%q in pages of %d does not end", text, size)
				}
				after = next
			}
			var ids []byte
			for _, w := range want {
				ids = append(ids, w.id)
			}
			if !bytes.Equal(got, ids) {
				t.Errorf("%q in pages of %d:\n got %v\nwant %v", text, size, got, ids)
			}
		}
	}
}

func TestNoOrder(t *testing.T) {
	for _, text := range []string{"tags", "nothing", "name up", "name desc desc", "name,,size", "name,size,made,good", "name desc,"} {
		if _, err := ParseOrder(text, things); err == nil {
			t.Errorf("%q is an order", text)
		}
	}
}
