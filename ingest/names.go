package ingest

import (
	"slices"

	"github.com/tokenwatch/tokenwatch"
	"github.com/zeebo/xxh3"
)

// maxNamed is how many namings are remembered as being in the log already.
const maxNamed = 1 << 18

// named remembers which namings are in the log. A token goes by the same names in
// every batch, and two digests for each token of each batch would take more room
// than its events; so a naming is written once, and again only after a restart or
// when there were too many to remember. It belongs to the committing goroutine.
type named map[xxh3.Uint128]int32 // the earliest hour as of which it is

// unwritten returns the entries without the namings that are in the log.
func (n named) unwritten(entries []tokenwatch.Entry) []tokenwatch.Entry {
	out := slices.Clone(entries)
	for i, e := range out {
		fresh := slices.DeleteFunc(slices.Clone(e.Batch.Names()), func(name tokenwatch.Naming) bool {
			hour, ok := n[key(e.Tenant, name)]
			return ok && hour <= name.Hour
		})
		out[i].Batch = e.Batch.WithNames(fresh)
	}
	return out
}

// wrote notes that entries are in the log.
func (n named) wrote(entries []tokenwatch.Entry) {
	for _, e := range entries {
		for _, name := range e.Batch.Names() {
			if len(n) >= maxNamed {
				clear(n)
			}
			k := key(e.Tenant, name)
			if hour, ok := n[k]; !ok || name.Hour < hour {
				n[k] = name.Hour
			}
		}
	}
}

// key digests a naming, but for its hour. Its token is a keyed digest already: nobody can choose
// namings that collide.
func key(tenant string, n tokenwatch.Naming) xxh3.Uint128 {
	seed := xxh3.HashStringSeed(string(n.Token), xxh3.HashString(tenant))
	seed = xxh3.HashStringSeed(n.Issuer, xxh3.HashStringSeed(string(n.Alias.Kind), seed))
	if n.Hour == 0 {
		seed++ // what a token has whenever it is seen is another thing
	}
	return xxh3.HashString128Seed(n.Alias.Value, seed)
}
