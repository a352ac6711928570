package finding

import (
	"cmp"
	"slices"

	"github.com/tokenwatch/tokenwatch"
)

// SortMembers orders members, the most telling first, drops repeats, and keeps
// those that a finding may list; and counts all.
func SortMembers(list []tokenwatch.Member) ([]tokenwatch.Member, int) {
	type who struct {
		kind tokenwatch.EntityKind
		id   string
	}
	slices.SortFunc(list, func(a, b tokenwatch.Member) int {
		return cmp.Or(-cmp.Compare(a.Score, b.Score), cmp.Compare(a.EntityKind, b.EntityKind), cmp.Compare(a.Entity, b.Entity))
	})
	seen := make(map[who]struct{}, len(list))
	list = slices.DeleteFunc(list, func(m tokenwatch.Member) bool {
		_, again := seen[who{m.EntityKind, m.Entity}]
		seen[who{m.EntityKind, m.Entity}] = struct{}{}
		return again
	})
	return list[:min(len(list), tokenwatch.MaxMembers)], len(list)
}

// members are those of all hours, and how many there are. Those of one hour may be
// more than are listed; then hours that go on with the same ones count once, and
// such with new ones each.
func members(hours []Hour, same bool) ([]tokenwatch.Member, int) {
	var all []tokenwatch.Member
	most, sum, cut := 0, 0, false
	for i := range hours {
		h := &hours[i]
		all = append(all, h.Members...)
		most, sum, cut = max(most, h.Count), sum+h.Count, cut || h.Count > len(h.Members)
	}
	listed, n := SortMembers(all)
	switch {
	case cut && same:
		n = most
	case cut:
		n = sum
	}
	return listed, n
}
