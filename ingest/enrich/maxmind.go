package enrich

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"sync"

	"github.com/oschwald/maxminddb-golang/v2"
)

// maxmindMark begins the description at the end of a MaxMind database.
var maxmindMark = []byte("\xab\xcd\xefMaxMind.com")

func isMaxMind(data []byte) bool { return bytes.Contains(data, maxmindMark) }

func (n *Networks) addMaxMind(data []byte) error {
	db, err := maxminddb.OpenBytes(data)
	if err != nil {
		return fmt.Errorf("read MaxMind database: %w", err)
	}
	n.maxmind = append(n.maxmind, db)
	n.entries += int(db.Metadata.NodeCount)
	return nil
}

// maxmindRecord has the fields of the databases City, Country, ASN, ISP,
// Enterprise, Connection Type and Anonymous IP that are of use.
type maxmindRecord struct {
	Country struct {
		Code string `maxminddb:"iso_code"`
	} `maxminddb:"country"`
	Registered struct {
		Code string `maxminddb:"iso_code"`
	} `maxminddb:"registered_country"`
	Location struct {
		Lat float64 `maxminddb:"latitude"`
		Lon float64 `maxminddb:"longitude"`
	} `maxminddb:"location"`
	Traits struct {
		ASN      uint32 `maxminddb:"autonomous_system_number"`
		ASName   string `maxminddb:"autonomous_system_organization"`
		UserType string `maxminddb:"user_type"`
	} `maxminddb:"traits"`
	ASN        uint32 `maxminddb:"autonomous_system_number"`
	ASName     string `maxminddb:"autonomous_system_organization"`
	Connection string `maxminddb:"connection_type"`
	Hosting    bool   `maxminddb:"is_hosting_provider"`
}

// ask asks all databases about an address.
func (n *Networks) ask(a netip.Addr) *Network {
	var net Network
	for _, db := range n.maxmind {
		var r maxmindRecord
		found := db.Lookup(a)
		if !found.Found() || found.Decode(&r) != nil {
			continue
		}
		first(&net.ASN, r.ASN, r.Traits.ASN)
		first(&net.ASName, r.ASName, r.Traits.ASName)
		first(&net.Country, strings.ToUpper(r.Country.Code), strings.ToUpper(r.Registered.Code))
		kind := kindOf(r.Traits.UserType)
		if r.Hosting {
			kind = "hosting"
		}
		first(&net.Kind, kind, kindOf(r.Connection))
		if net.place == "" && (r.Location.Lat != 0 || r.Location.Lon != 0) {
			net.place = placeOf(r.Location.Lat, r.Location.Lon)
		}
	}
	if net == (Network{}) {
		return nil
	}
	return &net
}

// first gives v the first value that is not zero, if it is.
func first[T comparable](v *T, values ...T) {
	var zero T
	for _, x := range values {
		if *v == zero {
			*v = x
		}
	}
}

// memo remembers what databases said of recent addresses: an answer costs a
// microsecond, and addresses come again and again.
type memo struct {
	mu  sync.RWMutex
	old map[netip.Addr]*Network
	now map[netip.Addr]*Network
}

const maxMemo = 1 << 15

func newMemo() *memo { return &memo{now: make(map[netip.Addr]*Network)} }

func (m *memo) get(a netip.Addr, ask func(netip.Addr) *Network) *Network {
	m.mu.RLock()
	net, ok := m.now[a]
	if !ok {
		net, ok = m.old[a]
	}
	m.mu.RUnlock()
	if ok {
		return net
	}
	net = ask(a)
	m.mu.Lock()
	if len(m.now) >= maxMemo {
		m.old, m.now = m.now, make(map[netip.Addr]*Network)
	}
	m.now[a] = net
	m.mu.Unlock()
	return net
}
