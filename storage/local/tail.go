package local

import "github.com/tokenwatch/tokenwatch"

// tail is the newest entries as they were appended, so that a follower that
// keeps up decodes nothing. Under Store.mu.
type tail struct {
	entries []tokenwatch.Entry // dense
	rows    int
}

// How much the tail holds at most; the newest entry is always there.
const (
	tailRows    = 1 << 16
	tailEntries = 1 << 10
)

func (t *tail) add(entries []tokenwatch.Entry) {
	for _, e := range entries {
		t.entries = append(t.entries, e)
		t.rows += weight(&e)
	}
	for len(t.entries) > 1 && (t.rows > tailRows || len(t.entries) > tailEntries) {
		t.rows -= weight(&t.entries[0])
		t.entries[0] = tokenwatch.Entry{} // the slice may live on
		t.entries = t.entries[1:]
	}
}

// at returns the entry at an offset if it is still held.
func (t *tail) at(offset tokenwatch.Offset) (tokenwatch.Entry, bool) {
	if len(t.entries) == 0 || offset < t.entries[0].Offset {
		return tokenwatch.Entry{}, false
	}
	i := int(offset - t.entries[0].Offset)
	if i >= len(t.entries) {
		return tokenwatch.Entry{}, false
	}
	return t.entries[i], true
}

func weight(e *tokenwatch.Entry) int {
	if e.Batch == nil {
		return 0
	}
	return e.Batch.Rows()
}
