package finding

import (
	"strings"

	"github.com/tokenwatch/tokenwatch"
)

// Kinds of findings about a group: what the one cause is taken for.
const (
	KindDeploy    = "deploy"        // the same new program, actions or parts of the service
	KindOutage    = "outage"        // the same refusals
	KindMigration = "migration"     // the same new network or address, doing there what they always do
	KindSource    = "shared_source" // the same new network or address, and other things besides
	KindSurge     = "surge"         // much more of everything
	KindSchedule  = "schedule"      // work in hours of rest
)

// Group names the entity that a finding of such a kind is about; mark tells groups
// of a kind apart.
func Group(kind, mark string) tokenwatch.Entity {
	return tokenwatch.Entity{Kind: tokenwatch.EntityGroup, ID: kind + " " + mark}
}

// KindOf is the kind of a group.
func KindOf(e tokenwatch.Entity) string {
	kind, _, _ := strings.Cut(e.ID, " ")
	return kind
}

// lowered is the rate of a cause that nobody need be behind: a score of 49, which
// is shown and wakes no one.
const lowered tokenwatch.Bans = -950

// Lower is the rate of a group of a kind, given that of its most telling member.
func Lower(kind string, rate tokenwatch.Bans) tokenwatch.Bans {
	if kind == KindSource {
		return rate
	}
	return max(rate, lowered)
}
