package query

import (
	"sync"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/expr"
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

// sharedAddrs is sharedDict for addresses, as 16 bytes each.
type sharedAddrs struct {
	space expr.Space
	mu    sync.Mutex
	table textTable
	addrs []byte // value 0 is null, value i the address of number i
}

// codes returns the codes of null and of some addresses; ok is false if there is no
// room for all.
func (d *sharedAddrs) codes(addrs []byte) (codes []uint32, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	codes = make([]uint32, 1, 1+len(addrs)/16)
	for at := 0; at < len(addrs); at += 16 {
		c, ok := d.code(addrs[at : at+16])
		if !ok {
			return nil, false
		}
		codes = append(codes, c)
	}
	return codes, true
}

// code returns the code of one address. Under mu.
func (d *sharedAddrs) code(addr []byte) (c uint32, ok bool) {
	room := d.table.all.Len() < maxShared
	if c = d.table.at(string(addr), room); c == 0 {
		return 0, false
	}
	if d.addrs == nil {
		d.addrs = make([]byte, 16)
	}
	if int(c) == len(d.addrs)/16 {
		d.addrs = append(d.addrs, addr...)
	}
	return c, true
}

// list is the dictionary as it is now.
func (d *sharedAddrs) list() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.addrs
}

// recode writes a column in codes of the shared dictionary. It leaves it as it is
// where that has no room.
func (d *sharedAddrs) recode(v *tokenwatch.Vector) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	codes := make([]uint32, len(v.Addrs)/16)
	for i := range codes {
		if !v.Valid.At(i) {
			continue
		}
		c, ok := d.code(v.Addrs[16*i : 16*i+16])
		if !ok {
			return false
		}
		codes[i] = c
	}
	v.Codes, v.Addrs, v.Valid = codes, nil, nil
	return true
}

// sharedAddrs returns the dictionary of addresses of a tenant.
func (c *columnCache) sharedAddrs(tenant string) *sharedAddrs {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.addrs[tenant] == nil {
		c.addrs[tenant] = &sharedAddrs{}
	}
	return c.addrs[tenant]
}
