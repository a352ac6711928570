package inventory

import (
	"fmt"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// TestLimit: from half of the limit on, credentials that were never taken are not
// listed, up to the limit others are, and whatever was said of a token is kept.
func TestLimit(t *testing.T) {
	v := New("t")
	v.Limit = 100
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	var offset tokenwatch.Offset
	take := func(from, n int, taken bool) (unlisted int) {
		offset++
		_, rows := v.Take(batchOf(from, n, start), offset, func(int) bool { return taken })
		return len(rows)
	}
	for i, c := range []struct {
		from, n  int
		taken    bool
		unlisted int
		len      int
	}{
		{0, 40, false, 0, 40},     // room enough
		{1000, 40, false, 40, 40}, // guesses no more
		{2000, 50, true, 0, 90},
		{3000, 50, true, 40, 100},
		{2000, 50, false, 0, 100}, // known
		{4000, 50, true, 50, 100},
	} {
		if got := take(c.from, c.n, c.taken); got != c.unlisted || v.Len() != c.len {
			t.Errorf("step %d: %d rows unlisted, not %d; %d tokens listed, not %d", i, got, c.unlisted, v.Len(), c.len)
		}
	}
	if _, ok := v.Token(fmt.Sprintf("tkw_%026d", 4001), start.UnixNano()); ok {
		t.Error("a token is listed that there was no room for")
	}
	var b tokenwatch.Builder
	var row tokenwatch.Row
	row.SetInt(tokenwatch.ColTime, start.UnixNano())
	b.Append(&row)
	b.AddFact(tokenwatch.Fact{Kind: tokenwatch.FactRevoked, Token: "tkw_said"})
	v.Take(b.Batch(), offset+1, nil)
	if r, ok := v.Token("tkw_said", start.UnixNano()+1); !ok || r.State != tokenwatch.TokenRevoked {
		t.Errorf("what was said of a token is lost: %+v", r)
	}
}

// TestWordsAreBounded: texts of attackers' choosing do not fill the memory.
func TestWordsAreBounded(t *testing.T) {
	w := newWords()
	long := make([]byte, 1<<20)
	for i := range 100 {
		long[0] = byte(i)
		w.code(string(long))
	}
	if w.bytes > maxWordBytes || w.code(string(long)) != overflowWord || w.list[overflowWord] != "(overflow)" {
		t.Errorf("%d bytes of words, the last of which is %d", w.bytes, w.code(string(long)))
	}
	w = newWords()
	for i := range maxWords + 10 {
		w.code(fmt.Sprint(i))
	}
	if len(w.list) != maxWords || w.code("0") == overflowWord || w.code("new") != overflowWord {
		t.Errorf("%d words", len(w.list))
	}
}
