package local

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/block"
)

// boundsOf is what a head says of the values of a column: constant if every row
// has the same, not ok if none has one.
func boundsOf(c *block.Column, constant, ok bool, rows int) (storage.Bounds, bool) {
	switch kind := c.Col.Kind(); {
	case kind == tokenwatch.KindMap:
		return storage.Bounds{}, false
	case kind == tokenwatch.KindBool && !ok:
		return storage.Bounds{}, true
	case kind == tokenwatch.KindBool && constant:
		return storage.Bounds{Min: 1, Max: 1}, true
	case kind == tokenwatch.KindBool:
		return storage.Bounds{Max: 1}, true
	case !ok:
		return storage.Bounds{Nulls: rows}, true
	}
	return storage.Bounds{
		Nulls: c.Nulls, Min: c.Min, Max: c.Max, MinAddr: c.MinAddr, MaxAddr: c.MaxAddr,
		MinText: c.MinText, MaxText: c.MaxText, Open: c.Open,
	}, true
}

// mayHold tells by what a head says of a column whether a row can have a value.
// A value that is no value of the column's kind is held by none.
func mayHold(c *block.Column, constant, ok bool, value string) bool {
	switch c.Col.Kind() {
	case tokenwatch.KindMap:
		return true
	case tokenwatch.KindBool:
		switch value {
		case "true":
			return ok
		case "false":
			return !ok || !constant
		default:
			return false
		}
	}
	if !ok {
		return false
	}
	switch c.Col.Kind() {
	case tokenwatch.KindTime, tokenwatch.KindInt:
		n, err := strconv.ParseInt(value, 10, 64)
		return err == nil && c.Min <= n && n <= c.Max
	case tokenwatch.KindAddr:
		a, err := netip.ParseAddr(value)
		if err != nil {
			return false
		}
		least, at, most := c.MinAddr.As16(), a.As16(), c.MaxAddr.As16()
		return string(least[:]) <= string(at[:]) && string(at[:]) <= string(most[:])
	default:
		return c.MayHold(value)
	}
}

// mayContain tells by what a head says of a text column whether a row can hold a
// substring.
func mayContain(c *block.Column, constant, ok bool, substring string) bool {
	switch kind := c.Col.Kind(); {
	case kind != tokenwatch.KindText && kind != tokenwatch.KindString:
		return true
	case !ok:
		return false
	case constant:
		return strings.Contains(c.MinText, substring)
	default:
		return true
	}
}
