package local

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage/block"
)

// mayHold tells by the bounds in a head whether a row can have a value. A value
// that is no value of the column's kind is held by none.
func mayHold(h *block.Head, col tokenwatch.Col, value string) bool {
	c, ok := h.Column(col)
	switch col.Kind() {
	case tokenwatch.KindMap:
		return true
	case tokenwatch.KindBool:
		switch value {
		case "true":
			return ok
		case "false":
			return !ok || c.Codec != block.CodecConst
		default:
			return false
		}
	}
	if !ok {
		return false
	}
	switch col.Kind() {
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

// mayContain tells by the bounds in a head whether a row of a text column can
// hold a substring.
func mayContain(h *block.Head, col tokenwatch.Col, substring string) bool {
	c, ok := h.Column(col)
	switch {
	case col.Kind() != tokenwatch.KindText && col.Kind() != tokenwatch.KindString:
		return true
	case !ok:
		return false
	case c.Codec == block.CodecConst:
		return strings.Contains(c.MinText, substring)
	default:
		return true
	}
}
