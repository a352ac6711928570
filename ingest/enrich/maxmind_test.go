package enrich

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
)

// maxmind writes a database of IPv4 networks as the MaxMind DB file format
// describes it: a tree with records of 24 bits, data, metadata.
func maxmind(networks map[string]map[string]any) []byte {
	type child struct{ node, data int }
	nodes := [][2]child{{}}
	var data []byte
	for _, cidr := range sortedNames(networks) {
		p := netip.MustParsePrefix(cidr)
		at, a := 0, p.Addr().As4()
		for bit := range p.Bits() {
			side := a[bit/8] >> (7 - bit%8) & 1
			if bit == p.Bits()-1 {
				nodes[at][side] = child{data: len(data) + 1}
				break
			}
			if nodes[at][side].node == 0 {
				nodes = append(nodes, [2]child{})
				nodes[at][side] = child{node: len(nodes) - 1}
			}
			at = nodes[at][side].node
		}
		data = maxmindValue(data, networks[cidr])
	}
	var out []byte
	for _, n := range nodes {
		for _, c := range n {
			v := len(nodes) // nothing
			switch {
			case c.data > 0:
				v = len(nodes) + 16 + c.data - 1
			case c.node > 0:
				v = c.node
			}
			out = append(out, byte(v>>16), byte(v>>8), byte(v))
		}
	}
	out = append(append(out, make([]byte, 16)...), data...)
	out = append(out, maxmindMark...)
	return maxmindValue(out, map[string]any{
		"binary_format_major_version": uint32(2), "binary_format_minor_version": uint32(0), "build_epoch": uint64(1),
		"database_type": "Test", "description": map[string]any{}, "ip_version": uint32(4), "languages": []any{},
		"node_count": uint32(len(nodes)), "record_size": uint32(24),
	})
}

func maxmindValue(out []byte, v any) []byte {
	head := func(kind, size int) {
		switch {
		case kind > 7 && size < 29:
			out = append(out, byte(size), byte(kind-7))
		case size < 29:
			out = append(out, byte(kind<<5|size))
		default:
			out = append(out, byte(kind<<5|29), byte(size-29))
		}
	}
	switch x := v.(type) {
	case string:
		head(2, len(x))
		out = append(out, x...)
	case float64:
		head(3, 8)
		out = binary.BigEndian.AppendUint64(out, math.Float64bits(x))
	case uint32:
		head(6, 4)
		out = binary.BigEndian.AppendUint32(out, x)
	case uint64:
		head(9, 8)
		out = binary.BigEndian.AppendUint64(out, x)
	case map[string]any:
		head(7, len(x))
		for _, k := range sortedNames(x) {
			out = maxmindValue(maxmindValue(out, k), x[k])
		}
	case []any:
		head(11, len(x))
	}
	return out
}

func sortedNames[T any](m map[string]T) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
