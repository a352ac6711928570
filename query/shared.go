package query

import (
	"sync"

	"github.com/tokenwatch/tokenwatch"
)

// sharedDict is one dictionary for the token columns of all segments of a tenant:
// decoded columns are written in its codes, so that a token has one code in all
// of them. It only grows, and never beyond maxShared values.
type sharedDict struct {
	mu    sync.Mutex
	table textTable
	dict  tokenwatch.Strings // value 0 is null, value i the text of number i
}

const maxShared = 1 << 20

// codes returns the codes of some texts; ok is false if there is no room for all.
func (d *sharedDict) codes(n int, text func(int) string) (codes []uint32, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dict.Offsets == nil {
		d.dict.Append(nil)
	}
	codes = make([]uint32, n)
	for i := range codes {
		s := text(i)
		if s == "" {
			continue
		}
		if d.dict.Len() >= maxShared {
			if codes[i] = d.table.at(s, false); codes[i] == 0 {
				return nil, false
			}
			continue
		}
		codes[i] = d.table.at(s, true)
		if int(codes[i]) == d.dict.Len() {
			d.dict.Append([]byte(s))
		}
	}
	return codes, true
}

// strings is the dictionary as it is now: codes given before hold in it.
func (d *sharedDict) strings() tokenwatch.Strings {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dict
}

// recode writes a column in codes of the shared dictionary. It leaves it as it is
// where that has no room.
func (d *sharedDict) recode(v *tokenwatch.Vector) {
	to, ok := d.codes(v.Dict.Len(), v.Dict.At)
	if !ok {
		return
	}
	codes := make([]uint32, len(v.Codes))
	for i, c := range v.Codes {
		codes[i] = to[c]
	}
	v.Codes, v.Dict = codes, tokenwatch.Strings{}
}

// shared returns the dictionary of a tenant.
func (c *columnCache) shared(tenant string) *sharedDict {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dicts[tenant] == nil {
		c.dicts[tenant] = &sharedDict{}
	}
	return c.dicts[tenant]
}
