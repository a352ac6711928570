package enrich

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

// TestFlat compares the flattened ranges with the plain reading: of the ranges
// that hold an address that which begins last, then the smallest, then the first.
func TestFlat(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 9))
		type named struct{ from, to netip.Addr }
		var ranges []named
		var table strings.Builder
		table.WriteString("start,end,asn\n")
		for i := range 1 + r.IntN(40) {
			var lo, hi netip.Addr
			if r.IntN(2) == 0 {
				bits := 8 + r.IntN(25)
				p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(r.IntN(3)), byte(r.IntN(4)), byte(r.IntN(256))}), bits)
				lo, hi = Bounds(p)
			} else if r.IntN(2) == 0 {
				lo = netip.AddrFrom4([4]byte{10, 0, byte(r.IntN(4)), byte(r.IntN(256))})
				hi = lo
				for range r.IntN(300) {
					hi = hi.Next()
				}
			} else {
				var a [16]byte
				a[0], a[1], a[7] = 0x20, 1, byte(r.IntN(4))
				lo, hi = Bounds(netip.PrefixFrom(netip.AddrFrom16(a), 48+r.IntN(40)))
			}
			ranges = append(ranges, named{lo, hi})
			fmt.Fprintf(&table, "%s,%s,%d\n", lo, hi, i+1)
		}
		n, err := ParseNetworks([]byte(table.String()))
		if err != nil {
			t.Fatal(err)
		}
		for range 500 {
			a := netip.AddrFrom4([4]byte{10, byte(r.IntN(3)), byte(r.IntN(5)), byte(r.IntN(256))})
			if r.IntN(4) == 0 {
				a = ranges[r.IntN(len(ranges))].to
			} else if r.IntN(4) == 0 {
				a = ranges[r.IntN(len(ranges))].from
			} else if r.IntN(8) == 0 {
				a = ranges[r.IntN(len(ranges))].to.Next()
			}
			want := -1
			for i, x := range ranges {
				if a.Is4() != x.from.Is4() || a.Less(x.from) || x.to.Less(a) {
					continue
				}
				if want < 0 {
					want = i
					continue
				}
				best := ranges[want]
				if best.from.Less(x.from) || best.from == x.from && x.to.Less(best.to) {
					want = i
				}
			}
			got := n.Lookup(a)
			switch {
			case want < 0 && got != nil:
				t.Fatalf("seed %d: %s has AS %d, want none\n%s", seed, a, got.ASN, table.String())
			case want >= 0 && (got == nil || got.ASN != uint32(want+1)):
				t.Fatalf("seed %d: %s has %+v, want AS %d\n%s", seed, a, got, want+1, table.String())
			}
		}
	}
}

func TestNetworksCSV(t *testing.T) {
	for _, c := range []struct{ name, table, want string }{
		{"usual names", "cidr,asn,as_name,kind,country,lat,lon\n62.35.0.0/16,4200000116,BigCloud-0,hosting,US,38.90,-77.00\n", "4200000116 BigCloud-0 hosting US 38.90,-77.00"},
		{"other spellings", "Network;AS Number;Autonomous-System-Organization;Usage Type;Country_Code;Latitude;Longitude\n62.35.0.0/16;AS64500;Acme;DCH;us;1;2\n", "64500 Acme hosting US 1.00,2.00"},
		{"no names", "62.35.0.0/16,64500,Acme,isp,NL\n", "64500 Acme isp NL "},
		{"tabs, ends", "start\tend\tasn\n62.35.0.0\t62.35.1.255\t64500\n", "64500    "},
		{"mapped, comment, mark", "\xef\xbb\xbfcidr,asn\n# note\n::ffff:62.35.0.0/112,64500\n", "64500    "},
		{"smallest wins", "cidr,asn\n62.0.0.0/8,1\n62.35.0.0/24,3\n62.35.0.0/16,2\n", "3    "},
		{"one address", "ip,kind\n62.35.0.9,residential\n", "0  isp  "},
	} {
		n, err := ParseNetworks([]byte(c.table))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := n.Lookup(netip.MustParseAddr("62.35.0.9"))
		if got == nil || fmt.Sprint(got.ASN, " ", got.ASName, " ", got.Kind, " ", got.Country, " ", got.place) != c.want {
			t.Errorf("%s: %+v, want %s", c.name, got, c.want)
		}
	}
	for _, c := range []struct{ table, want string }{
		{"", "it is empty"},
		{"cidr,asn\n", "it holds no networks"},
		{"a,b\n1,2\n", "line 1: no network such as 192.0.2.0/24"},
		{"asn,kind\n1,isp\n", "line 1: no column is called cidr, or start and end"},
		{"cidr,asn\n62.35.0.0/99,1\n", "line 2: no network such as 192.0.2.0/24"},
		{"cidr,asn\n62.35.0.0/16,x\n", "line 2: the AS number is no number"},
		{"cidr,lat,lon\n62.35.0.0/16,99,1\n", "line 2: latitude and longitude are no place"},
		{"start,end\n62.35.0.9,62.35.0.1\n", "line 2: no range of addresses"},
		{"rubbish \xab\xcd\xefMaxMind.com", "read MaxMind database"},
	} {
		if _, err := ParseNetworks([]byte(c.table)); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.table, err, c.want)
		}
	}
}

// TestSeveralTables: what an earlier table says counts first.
func TestSeveralTables(t *testing.T) {
	n, err := ParseNetworks([]byte("cidr,asn\n62.35.0.0/16,1\n"), []byte("cidr,asn\n62.35.0.0/16,2\n62.36.0.0/16,3\n"))
	if err != nil {
		t.Fatal(err)
	}
	for a, want := range map[string]uint32{"62.35.0.1": 1, "62.36.0.1": 3} {
		if got := n.Lookup(netip.MustParseAddr(a)); got == nil || got.ASN != want {
			t.Errorf("%s: %+v, want AS %d", a, got, want)
		}
	}
}

// TestMaxMind reads a database made here, of the format's public description.
func TestMaxMind(t *testing.T) {
	db := maxmind(map[string]map[string]any{
		"62.0.0.0/8": {"autonomous_system_number": uint32(64500), "autonomous_system_organization": "Acme"},
		"81.2.69.0/24": {
			"country": map[string]any{"iso_code": "GB"}, "location": map[string]any{"latitude": 51.5142, "longitude": -0.0931},
			"traits": map[string]any{"user_type": "cellular"},
		},
	})
	n, err := ParseNetworks(db)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time from memory
		if got := n.Lookup(netip.MustParseAddr("62.1.2.3")); got == nil || got.ASN != 64500 || got.ASName != "Acme" {
			t.Errorf("62.1.2.3: %+v", got)
		}
		if got := n.Lookup(netip.MustParseAddr("81.2.69.7")); got == nil || got.Country != "GB" || got.place != "51.51,-0.09" || got.Kind != "isp" {
			t.Errorf("81.2.69.7: %+v", got)
		}
		if got := n.Lookup(netip.MustParseAddr("9.9.9.9")); got != nil {
			t.Errorf("9.9.9.9: %+v, want nothing", got)
		}
	}
	for cut := 0; cut < len(db); cut += 7 { // a torn file is an error or answers something, and never a panic
		if n, err := ParseNetworks(db[:cut], []byte("cidr,asn\n1.0.0.0/8,1\n")); err == nil {
			n.Lookup(netip.MustParseAddr("81.2.69.7"))
		}
	}
}

func FuzzNetworks(f *testing.F) {
	f.Add([]byte("cidr,asn,as_name,kind,country,lat,lon\n62.35.0.0/16,4200000116,BigCloud-0,hosting,US,38.90,-77.00\n"), "62.35.1.1")
	f.Add([]byte("start;end\n62.35.0.0;62.35.1.255\n::1;::5\n"), "::3")
	f.Add(maxmind(map[string]map[string]any{"62.0.0.0/8": {"autonomous_system_number": uint32(64500)}}), "62.1.1.1")
	f.Fuzz(func(t *testing.T, table []byte, addr string) {
		n, err := ParseNetworks(table)
		if err != nil {
			return
		}
		if a, err := netip.ParseAddr(addr); err == nil {
			n.Lookup(a)
		}
	})
}

func BenchmarkNetworks(b *testing.B) {
	var table strings.Builder
	table.WriteString("cidr,asn\n")
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 200_000 {
		fmt.Fprintf(&table, "%d.%d.%d.0/%d,%d\n", 1+r.IntN(220), r.IntN(256), r.IntN(256), 16+r.IntN(9), i)
	}
	n, err := ParseNetworks([]byte(table.String()))
	if err != nil {
		b.Fatal(err)
	}
	addrs := make([]netip.Addr, 4096)
	for i := range addrs {
		addrs[i] = netip.AddrFrom4([4]byte{byte(1 + r.IntN(220)), byte(r.IntN(256)), byte(r.IntN(256)), 9})
	}
	for i := 0; b.Loop(); i++ {
		n.Lookup(addrs[i&4095])
	}
}
