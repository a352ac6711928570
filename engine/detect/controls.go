package detect

import (
	"slices"
)

// risks are the risks of the OWASP Non-Human Identities Top 10 (2025) that what a
// detector notices may be the outcome of.
var risks = map[string][]string{
	"action_class":       {"OWASP-NHI:NHI5"},
	"after_end":          {"OWASP-NHI:NHI1"}, // improper offboarding
	"after_rotation":     {"OWASP-NHI:NHI7"},
	"allow_list":         {"OWASP-NHI:NHI4"}, // insecure authentication
	"bulk_read":          {"OWASP-NHI:NHI5"},
	"concurrent_origins": {"OWASP-NHI:NHI2", "OWASP-NHI:NHI9"},
	"dormant":            {"OWASP-NHI:NHI1", "OWASP-NHI:NHI7"}, // long-lived secrets
	"drift":              {"OWASP-NHI:NHI5"},                   // overprivileged
	"enumeration":        {"OWASP-NHI:NHI5"},
	"faults":             {"OWASP-NHI:NHI5"},
	"honeytoken":         {"OWASP-NHI:NHI2"},
	"leak_use":           {"OWASP-NHI:NHI2"}, // secret leakage
	"minting":            {"OWASP-NHI:NHI1", "OWASP-NHI:NHI5"},
	"novelty":            {"OWASP-NHI:NHI2", "OWASP-NHI:NHI5"},
	"odd_hours":          {"OWASP-NHI:NHI10"}, // human use
	"probing":            {"OWASP-NHI:NHI5"},
	"rarity":             {"OWASP-NHI:NHI5"},
	"rhythm":             {"OWASP-NHI:NHI10"},
	"route_mix":          {"OWASP-NHI:NHI2"},
	"scanning":           {"OWASP-NHI:NHI4"},
	"scope":              {"OWASP-NHI:NHI5"},
	"shared_source":      {"OWASP-NHI:NHI2", "OWASP-NHI:NHI9"},
	"silence":            {"OWASP-NHI:NHI1"},
	"spraying":           {"OWASP-NHI:NHI4"},
	"storm":              {"OWASP-NHI:NHI4"},
	"travel":             {"OWASP-NHI:NHI2", "OWASP-NHI:NHI9"}, // reuse
	"unused_scope":       {"OWASP-NHI:NHI5"},
	"volume":             {"OWASP-NHI:NHI5"},
}

// Controls lists the ids of the controls that findings of detectors are about, in
// order; nil if there are none.
func Controls(detectors []string) []string {
	var ids []string
	for _, d := range detectors {
		ids = append(ids, risks[d]...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
