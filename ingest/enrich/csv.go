package enrich

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// sheet reads CSV with a line of names. Names are compared in lower case and
// without signs, so that as_name, AS-Name and "AS name" are one.
type sheet struct {
	r      *csv.Reader
	names  map[string]int
	unused []int // places, from 1, of columns that have a name, but none that is known
	line   []string
}

// newSheet reads the line of names. missing, if not nil, are the names for a
// table that has none: one whose first line is data already.
func newSheet(data []byte, known map[string]bool, missing []string) (*sheet, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	s := &sheet{r: csv.NewReader(bytes.NewReader(data)), names: map[string]int{}}
	head, _, _ := bytes.Cut(data, []byte("\n"))
	for _, sep := range []byte("\t;|") {
		if bytes.IndexByte(head, ',') < 0 && bytes.IndexByte(head, sep) >= 0 {
			s.r.Comma = rune(sep)
		}
	}
	s.r.Comment, s.r.TrimLeadingSpace, s.r.FieldsPerRecord, s.r.LazyQuotes = '#', true, -1, true
	first, err := s.r.Read()
	if err == io.EOF {
		return nil, errors.New("it is empty")
	}
	if err != nil {
		return nil, wrong(1, "no CSV")
	}
	if missing != nil && startsWithAddress(first) {
		first = nil
	}
	for i, name := range first {
		n := plain(name)
		_, twice := s.names[n]
		switch {
		case known[n] && !twice:
			s.names[n] = i
		case n != "":
			s.unused = append(s.unused, i+1)
		}
	}
	if len(s.names) > 0 || missing == nil {
		return s, nil
	}
	s.unused = nil
	for i, name := range missing {
		s.names[name] = i
	}
	s.r = csv.NewReader(bytes.NewReader(data))
	s.r.Comment, s.r.TrimLeadingSpace, s.r.FieldsPerRecord, s.r.LazyQuotes = '#', true, -1, true
	return s, nil
}

// startsWithAddress tells whether a line is of data: no column is called so.
func startsWithAddress(line []string) bool {
	if len(line) == 0 {
		return false
	}
	_, err := ParsePrefix(strings.TrimSpace(line[0]))
	return err == nil
}

// next reads a line, and tells whether there is one.
func (s *sheet) next() (bool, error) {
	line, err := s.r.Read()
	if err == io.EOF {
		return false, nil
	}
	if err != nil {
		return false, wrong(s.at(), "no CSV")
	}
	s.line = line
	return true, nil
}

// at is the number of the line read last.
func (s *sheet) at() int {
	line, _ := s.r.FieldPos(0)
	return line
}

// has tells whether the table has one of the columns.
func (s *sheet) has(names ...string) bool {
	for _, n := range names {
		if _, ok := s.names[n]; ok {
			return true
		}
	}
	return false
}

// get returns the first of the columns that the line has a value in.
func (s *sheet) get(names ...string) string {
	for _, n := range names {
		if i, ok := s.names[n]; ok && i < len(s.line) {
			if v := strings.TrimSpace(s.line[i]); v != "" {
				return v
			}
		}
	}
	return ""
}

// plain is a name in lower case without signs.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		}
		return -1
	}, name)
}

func set(names ...[]string) map[string]bool {
	m := map[string]bool{}
	for _, list := range names {
		for _, n := range list {
			m[n] = true
		}
	}
	return m
}

// The columns of a table of networks, and their other names.
var (
	cidrNames    = []string{"cidr", "network", "prefix", "subnet", "range", "iprange", "ip", "net"}
	fromNames    = []string{"startip", "start", "from", "rangestart", "ipfrom", "first", "networkstartip"}
	toNames      = []string{"endip", "end", "to", "rangeend", "ipto", "last", "networklastip"}
	asnNames     = []string{"asn", "as", "asnumber", "autonomoussystemnumber", "asnum"}
	asNameNames  = []string{"asname", "asorg", "asnorg", "org", "organization", "organisation", "autonomoussystemorganization", "asdescription", "isp", "name"}
	kindNames    = []string{"kind", "type", "usagetype", "usertype", "connectiontype", "class", "networktype", "astype", "asntype"}
	countryNames = []string{"country", "countrycode", "countryiso", "countryisocode", "cc"}
	latNames     = []string{"lat", "latitude"}
	lonNames     = []string{"lon", "lng", "long", "longitude"}

	networkNames = set(cidrNames, fromNames, toNames, asnNames, asNameNames, kindNames, countryNames, latNames, lonNames)
)

// addCSV reads a table of networks:
//
//	cidr,asn,as_name,kind,country,lat,lon
//
// in any order and spelling; a range may be given by its ends instead. A table
// without a line of names has these columns.
func (n *Networks) addCSV(data []byte) error {
	s, err := newSheet(data, networkNames, []string{"cidr", "asn", "asname", "kind", "country", "lat", "lon"})
	if err != nil {
		return err
	}
	if !s.has(cidrNames...) && !(s.has(fromNames...) && s.has(toNames...)) {
		return wrong(1, "no column is called cidr, or start and end")
	}
	n.unused = append(n.unused, s.unused...)
	before := n.entries
	for {
		more, err := s.next()
		if err != nil {
			return err
		}
		if !more {
			break
		}
		from, to, err := s.bounds()
		if err != nil {
			return err
		}
		net := Network{ASName: s.get(asNameNames...), Kind: kindOf(s.get(kindNames...)), Country: strings.ToUpper(s.get(countryNames...))}
		if v := s.get(asnNames...); v != "" {
			asn, err := strconv.ParseUint(strings.TrimPrefix(strings.ToUpper(v), "AS"), 10, 32)
			if err != nil {
				return wrong(s.at(), "the AS number is no number")
			}
			net.ASN = uint32(asn)
		}
		lat, lon := s.get(latNames...), s.get(lonNames...)
		if lat != "" && lon != "" {
			x, errX := strconv.ParseFloat(lat, 64)
			y, errY := strconv.ParseFloat(lon, 64)
			if errX != nil || errY != nil || !(x >= -90 && x <= 90 && y >= -180 && y <= 180) {
				return wrong(s.at(), "latitude and longitude are no place")
			}
			net.place = placeOf(x, y)
		}
		n.add(from, to, net)
	}
	if n.entries == before {
		return ErrNoNetworks
	}
	return nil
}

// bounds returns the ends of the line's range.
func (s *sheet) bounds() (from, to netip.Addr, err error) {
	text := s.get(cidrNames...)
	if text == "" {
		text = s.get(fromNames...) + "-" + s.get(toNames...)
	}
	if lo, hi, ok := strings.Cut(text, "-"); ok {
		from, errFrom := netip.ParseAddr(strings.TrimSpace(lo))
		to, errTo := netip.ParseAddr(strings.TrimSpace(hi))
		if errFrom != nil || errTo != nil || from.Is4() != to.Is4() || to.Less(from) {
			return from, to, wrong(s.at(), "no range of addresses")
		}
		return from, to, nil
	}
	p, err := ParsePrefix(text)
	if err != nil {
		return from, to, wrong(s.at(), "%w", err)
	}
	from, to = Bounds(p)
	return from, to, nil
}

var errPrefix = errors.New("no network such as 192.0.2.0/24")

// ParsePrefix reads a network or a single address.
func ParsePrefix(text string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, errPrefix
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// Bounds returns the first and the last address of a network.
func Bounds(p netip.Prefix) (from, to netip.Addr) {
	p = p.Masked()
	last := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(last); i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	to, _ = netip.AddrFromSlice(last)
	return p.Addr(), to
}

// kindOf gives the kinds of networks one spelling.
func kindOf(text string) string {
	switch k := plain(text); k {
	case "hosting", "datacenter", "dch", "cloud", "contentdeliverynetwork", "cdn", "server", "colocation":
		return "hosting"
	case "isp", "residential", "mobile", "cellular", "cabledsl", "dialup", "broadband", "mob", "fixed", "consumer", "satellite", "cable", "dsl":
		return "isp"
	case "business", "com", "corporate", "commercial", "company", "enterprise":
		return "business"
	case "internal", "private", "intranet", "lan":
		return "private"
	case "education", "edu", "college", "university", "school", "library":
		return "education"
	case "government", "gov", "military", "mil":
		return "government"
	case "vpn", "proxy", "tor", "anonymous", "anonymizer":
		return "proxy"
	default:
		return strings.ToLower(text)
	}
}
