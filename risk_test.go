package tokenwatch

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"
)

// again reckons a risk from nothing but its JSON, as anybody could.
func again(t *testing.T, r Risk) int {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Criticality float64
		Factors     []struct{ Weight, Decay float64 }
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	safe := 1.0
	for _, f := range doc.Factors {
		safe *= 1 - f.Weight*f.Decay
	}
	return int(math.Round(math.Min(100, 100*(1-safe)*doc.Criticality)))
}

func TestRisk(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	found := func(score int, age time.Duration, verdict string) Finding {
		return Finding{ID: "fnd_a", Kind: "novelty", Score: score, Time: now.Add(-age), Verdict: verdict, Summary: "new"}
	}
	tests := []struct {
		name     string
		token    TokenRecord
		findings []Finding
		want     string
	}{
		{"nothing known", TokenRecord{State: TokenActive}, nil, "0 low"},
		{"in order", TokenRecord{State: TokenActive, Known: true, Owner: "a", Expires: now.Add(day), KeyCreated: now.Add(-day)}, nil, "0 low"},
		{"no end, no owner", TokenRecord{State: TokenActive, Known: true, KeyCreated: now.Add(-day)}, nil, "24 low no_expiry no_owner"},
		{"owner left", TokenRecord{State: TokenActive, OwnerLeft: now.Add(-day)}, nil, "35 low owner_left"},
		{"overdue", TokenRecord{State: TokenActive, KeyCreated: now.Add(-91 * day), RotationDays: 90}, nil, "20 low rotation_overdue"},
		{"not yet overdue", TokenRecord{State: TokenActive, KeyCreated: now.Add(-89 * day), RotationDays: 90}, nil, "0 low"},
		{"old", TokenRecord{State: TokenActive, KeyCreated: now.Add(-400 * day)}, nil, "10 low old"},
		{"overlap over", TokenRecord{State: TokenRotating, OverlapUntil: now.Add(-day)}, nil, "20 low overlap_over"},
		{"dormant", TokenRecord{State: TokenDormant, LastUsed: now.Add(-40 * day)}, nil, "15 low dormant"},
		{"scopes", TokenRecord{State: TokenActive, Events: 9, Scopes: []string{"read", "write", "repo:*"}, Used: []string{"read"}}, nil, "24 low wide_scopes unused_scopes"},
		{"leaked", TokenRecord{State: TokenActive, Exposed: []Exposure{{Time: now.Add(-day), Place: "a log"}}}, nil, "60 low exposed"},
		{"leaked and rotated", TokenRecord{State: TokenActive, KeyCreated: now.Add(-time.Hour), Exposed: []Exposure{{Time: now.Add(-day)}}}, nil, "0 low"},
		{"leaked and revoked", TokenRecord{State: TokenRevoked, Exposed: []Exposure{{Time: now.Add(-day)}}}, nil, "0 low"},
		{"used after its end", TokenRecord{State: TokenZombie, Revoked: now.Add(-day), Expires: now.Add(-day)}, nil, "60 low used_after_end"},
		{"in production", TokenRecord{State: TokenActive, Env: "prod", OwnerLeft: now}, nil, "44 low owner_left"},
		{"found today", TokenRecord{State: TokenActive}, []Finding{found(90, 0, "")}, "72 medium novelty"},
		{"a week ago", TokenRecord{State: TokenActive}, []Finding{found(90, 7*day, "")}, "36 low novelty"},
		{"the log ends there", TokenRecord{State: TokenActive, AsOf: now.Add(-900 * day)}, []Finding{found(90, 900*day, "")}, "72 medium novelty"},
		{"the log ends a week after", TokenRecord{State: TokenActive, AsOf: now.Add(-893 * day)}, []Finding{found(90, 900*day, "")}, "36 low novelty"},
		{"the log is ahead", TokenRecord{State: TokenActive, AsOf: now.Add(7 * day)}, []Finding{found(90, 7*day, "")}, "36 low novelty"},
		{"posture is of today", TokenRecord{State: TokenActive, KeyCreated: now.Add(-400 * day), AsOf: now.Add(-300 * day)}, nil, "10 low old"},
		{"and right", TokenRecord{State: TokenActive}, []Finding{found(90, 0, VerdictTruePositive)}, "90 critical novelty"},
		{"and wrong", TokenRecord{State: TokenActive}, []Finding{found(90, 0, VerdictFalsePositive), found(90, 0, VerdictBenign)}, "0 low"},
		{"withdrawn, suppressed", TokenRecord{State: TokenActive}, []Finding{{Withdrawn: true, Score: 90}, {SuppressedBy: "sup", Score: 90}}, "0 low"},
		{"all of it", TokenRecord{State: TokenActive, Env: "prod", OwnerLeft: now, Exposed: []Exposure{{Time: now}}}, []Finding{found(100, 0, "")}, "100 critical novelty exposed owner_left"},
	}
	for _, test := range tests {
		r := RiskOf(&test.token, test.findings, now)
		got := fmt.Sprint(r.Score, " ", r.Severity)
		for _, f := range r.Factors {
			got += " " + f.Name
			if f.Weight < 0 || f.Weight > 1 || f.Decay < 0 || f.Decay > 1 || f.Text == "" || f.Remedy == "" {
				t.Errorf("%s: factor %+v", test.name, f)
			}
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
		if n := again(t, r); n != r.Score {
			t.Errorf("%s: reckoned again it is %d, not %d", test.name, n, r.Score)
		}
	}
}
