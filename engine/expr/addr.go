package expr

import (
	"encoding/binary"
	"net/netip"
	"strings"
)

// inCIDR is true where an address lies in one of some networks.
type inCIDR struct {
	x    Expr
	nets []network
	not  bool
}

// network is a prefix of 128 bits; IPv4 lies at ::ffff:0:0/96.
type network struct{ high, low, maskHigh, maskLow uint64 }

// InNetwork is true where address x lies in one of the networks, which are
// written as 10.0.0.0/8 or 2001:db8::/32; a lone address is a network of one.
func InNetwork(x Expr, networks []string, not bool) (Expr, error) {
	if x.Type() == TypeText {
		x = mustCast(x, TypeAddr)
	}
	if x.Type() == TypeNull {
		return Const(Value{Type: TypeBool, Null: true}), nil
	}
	if x.Type() != TypeAddr {
		return nil, typeError("an address is needed here, not %s", x.Type())
	}
	e := &inCIDR{x: x, not: not}
	for _, s := range networks {
		p, err := parsePrefix(s)
		if err != nil {
			return nil, err
		}
		e.nets = append(e.nets, networkOf(p))
	}
	return finish(e), nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, typeError("the string is not a network such as 10.0.0.0/8")
	}
	return p, nil
}

func networkOf(p netip.Prefix) network {
	ones := p.Bits()
	if p.Addr().Is4() {
		ones += 96
	}
	var n network
	n.maskHigh, n.maskLow = mask(ones)
	n.high, n.low = words(p.Addr().As16())
	n.high &= n.maskHigh
	n.low &= n.maskLow
	return n
}

// mask returns 128 bits of which the first ones are set.
func mask(ones int) (high, low uint64) {
	if ones <= 64 {
		return ^(^uint64(0) >> ones), 0
	}
	return ^uint64(0), ^(^uint64(0) >> (ones - 64))
}

func words(a [16]byte) (high, low uint64) {
	return binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])
}

func (e *inCIDR) Type() Type       { return TypeBool }
func (e *inCIDR) children() []Expr { return []Expr{e.x} }

func (e *inCIDR) eval(f *Frame, sel []int32, n int) Vec {
	v := e.x.eval(f, sel, n)
	if v.Const {
		n = 1
	}
	out := Vec{Type: TypeBool, Const: v.Const, Bools: make([]bool, n), Valid: v.validity(n)}
	for i := range n {
		high, low := words(*v.Addr(i))
		out.Bools[i] = e.has(high, low) != e.not
	}
	return out
}

func (e *inCIDR) has(high, low uint64) bool {
	for k := range e.nets {
		if n := &e.nets[k]; high&n.maskHigh == n.high && low&n.maskLow == n.low {
			return true
		}
	}
	return false
}

// toNetwork is the network of so many bits around an address.
func toNetwork(a [16]byte, bits4, bits6 int) string {
	addr := netip.AddrFrom16(a).Unmap()
	ones := bits6
	if addr.Is4() {
		ones = bits4
	}
	p, err := addr.Prefix(min(max(ones, 0), addr.BitLen()))
	if err != nil {
		return ""
	}
	return p.String()
}
