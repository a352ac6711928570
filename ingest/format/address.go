package format

import (
	"bytes"
	"net/netip"
	"unsafe"
)

// address reads an address, with or without brackets, zone and port.
func address(b []byte) (netip.Addr, int64, bool) {
	if a, ok := quad(b); ok {
		return a, 0, true
	}
	if len(b) < 2 || len(b) > 64 || !addressLike(b) {
		return netip.Addr{}, 0, false
	}
	s := unsafe.String(unsafe.SliceData(b), len(b))
	if b[0] == '[' || bytes.Count(b, []byte{':'}) == 1 {
		if ap, err := netip.ParseAddrPort(s); err == nil {
			return ap.Addr().WithZone(""), int64(ap.Port()), true
		}
		if end := bytes.IndexByte(b, ']'); b[0] == '[' && end > 0 { // around anything, with a port or without
			port := int64(0)
			if rest := b[end+1:]; len(rest) > 0 {
				n, ok := digits(bytes.TrimPrefix(rest, []byte(":")))
				if !ok || rest[0] != ':' || n > 65535 {
					return netip.Addr{}, 0, false
				}
				port = n
			}
			a, err := netip.ParseAddr(s[1:end])
			return a.WithZone(""), port, err == nil
		}
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, 0, false
	}
	return a.WithZone(""), 0, true // a zone's name would outlive the record it points into
}

// addressLike tells whether b has nothing that no address has: names of hosts
// and services, which may stand where one is expected, cost no error.
func addressLike(b []byte) bool {
	for _, c := range b {
		switch {
		case c >= '0' && c <= ':', c|0x20 >= 'a' && c|0x20 <= 'f', c == '.', c == '[', c == ']':
		default:
			return c == '%' // a zone may have any name
		}
	}
	return true
}

// quad reads an IPv4 address of four plain decimals: most addresses are, and
// this takes a third of the time of netip.ParseAddr. It refuses what that refuses.
func quad(b []byte) (netip.Addr, bool) {
	if len(b) < len("0.0.0.0") || len(b) > len("255.255.255.255") {
		return netip.Addr{}, false
	}
	var a [4]byte
	part, value, length := 0, 0, 0
	for _, c := range b {
		switch d := c - '0'; {
		case d <= 9:
			if length > 0 && value == 0 {
				return netip.Addr{}, false // a leading zero
			}
			if value = 10*value + int(d); value > 255 {
				return netip.Addr{}, false
			}
			length++
		case c == '.' && length > 0 && part < 3:
			a[part] = byte(value)
			part, value, length = part+1, 0, 0
		default:
			return netip.Addr{}, false
		}
	}
	a[3] = byte(value)
	return netip.AddrFrom4(a), part == 3 && length > 0
}
