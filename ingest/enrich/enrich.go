// Package enrich adds to a row what tables say of its address and its route, and
// reads those tables.
//
// In: a parsed row, before and after it is normalised. Out: the same row with
// the autonomous system, country, kind and place of src_ip, and with the route,
// the scope it needs and its risk. What is added is frozen on the row: another
// table changes nothing of what was stored. A table is read whole and checked
// before it is used, and may be replaced at any time.
package enrich

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/tokenwatch/tokenwatch"
)

// Tables are what rows are enriched from. A nil field is a table that is not there.
type Tables struct {
	Networks *Networks
	Routes   *Routes
}

// Live holds the tables in use. The zero value holds none. It may be used from
// many goroutines.
type Live struct {
	tables atomic.Pointer[Tables]
}

// Set replaces the tables, for rows from now on.
func (l *Live) Set(t Tables) { l.tables.Store(&t) }

// Route gives a row the template, scope and risk of what it asked for. It comes
// before the row is normalised, so that the action follows from the template.
func (l *Live) Route(row *tokenwatch.Row) {
	if l == nil {
		return
	}
	if t := l.tables.Load(); t != nil && t.Routes != nil {
		t.Routes.apply(row)
	}
}

// Origin gives a row what is known of its address. It comes after the row is
// normalised: the table knows better which kind of network an address is in.
func (l *Live) Origin(row *tokenwatch.Row) {
	if l == nil || !row.Has(tokenwatch.ColSrcIP) {
		return
	}
	if t := l.tables.Load(); t != nil && t.Networks != nil {
		t.Networks.apply(row)
	}
}

// Attrs that rows get. Both are facts of the tables, not of the record.
const (
	AttrPlace = "src_geo"    // latitude and longitude of src_ip: 52.37,4.90
	AttrRisk  = "route_risk" // of the route, unless it is normal
)

// serviceCloud is the src_cloud of calls that a provider's own service made.
const serviceCloud = "service"

func (n *Networks) apply(row *tokenwatch.Row) {
	net := n.Lookup(row.Addr())
	if net == nil {
		return
	}
	if net.ASN != 0 && !row.Has(tokenwatch.ColSrcASN) {
		row.SetInt(tokenwatch.ColSrcASN, int64(net.ASN))
	}
	if net.Country != "" && !row.Has(tokenwatch.ColSrcCountry) {
		row.SetString(tokenwatch.ColSrcCountry, net.Country)
	}
	if net.Kind != "" && string(row.Text(tokenwatch.ColSrcCloud)) != serviceCloud {
		row.SetString(tokenwatch.ColSrcCloud, net.Kind)
	}
	if net.place != "" {
		row.AddAttr(row.Keep(AttrPlace), row.Keep(net.place))
	}
}

func (r *Routes) apply(row *tokenwatch.Row) {
	route := r.Lookup(row.Text(tokenwatch.ColMethod), row.Text(tokenwatch.ColPath))
	if route == nil {
		return
	}
	if !row.Has(tokenwatch.ColRoute) {
		row.SetString(tokenwatch.ColRoute, route.Template)
	}
	if route.Scope != "" && !row.Has(tokenwatch.ColScope) {
		row.SetString(tokenwatch.ColScope, route.Scope)
	}
	if route.Risk != "" && route.Risk != "normal" {
		row.AddAttr(row.Keep(AttrRisk), row.Keep(route.Risk))
	}
}

// Summary says which table was read, as the log keeps it.
type Summary struct {
	Table   string   // networks or routes
	Entries int      // 0 where they are not counted
	Digest  [32]byte // SHA-256 of the files
	Unused  []int    // places, from 1, of columns of CSV whose names are not known
}

func digest(data []byte) [32]byte { return sha256.Sum256(data) }

// mixed joins the digests of several files.
func mixed(a, b [32]byte) [32]byte {
	if a == ([32]byte{}) {
		return b
	}
	return sha256.Sum256(append(a[:], b[:]...))
}

// wrong is an error at a line of a table; it never quotes the line.
func wrong(line int, format string, args ...any) error {
	return fmt.Errorf("line %d: "+format, append([]any{line}, args...)...)
}

func placeOf(lat, lon float64) string {
	return strconv.FormatFloat(lat, 'f', 2, 64) + "," + strconv.FormatFloat(lon, 'f', 2, 64)
}
