package tokenwatch

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// Risk says how much a token is at risk, and why. Score is
//
//	100 · (1 − Π (1 − Weight·Decay)) · Criticality
//
// over all factors, at most 100 and rounded: whoever has the factors can reckon
// it again.
type Risk struct {
	Token       TokenID      `json:"token"`
	Score       int          `json:"score"` // 0 to 100
	Severity    Severity     `json:"severity"`
	Time        time.Time    `json:"time"` // when it was reckoned; behaviour fades up to the newest event, see RiskOf
	Criticality float64      `json:"criticality"`
	Factors     []RiskFactor `json:"factors"` // the strongest first
}

// RiskFactor is one thing that puts a token at risk.
type RiskFactor struct {
	Name    string    `json:"name"`
	Group   RiskGroup `json:"group"`
	Since   time.Time `json:"since,omitzero"`
	Weight  float64   `json:"weight"` // 0 to 1
	Decay   float64   `json:"decay"`  // 1 for what does not fade
	Text    string    `json:"text"`
	Remedy  string    `json:"remedy"`
	Finding string    `json:"finding,omitempty"`
}

// RiskGroup parts what a token is from what it did and where it was.
type RiskGroup string

const (
	RiskPosture   RiskGroup = "posture"   // holds while it is true
	RiskBehaviour RiskGroup = "behaviour" // fades
	RiskExposure  RiskGroup = "exposure"  // holds while the token can be used
)

// What risk is reckoned with. The weights are set by judgement.
const (
	riskHalfLife = 7 * 24 * time.Hour   // of behaviour
	riskOldAfter = 365 * 24 * time.Hour // when a secret is old
	riskProd     = 1.25                 // criticality of what runs in production
	verdictOpen  = 0.8                  // weight of a finding nobody has judged, against one found right
)

// Usable tells whether the token can be used at a time, as far as is known.
func (t *TokenRecord) Usable(at time.Time) bool {
	switch t.State {
	case TokenExpired, TokenRevoked, TokenDisabled:
		return false
	}
	return t.Expires.IsZero() || at.Before(t.Expires)
}

// RiskOf reckons the risk of a token from what is known of it and from its
// findings, at a time. Behaviour fades up to the newest event that is known, where that
// is earlier: an attack in logs of years ago was not long ago when they end.
func RiskOf(t *TokenRecord, findings []Finding, now time.Time) Risk {
	r := Risk{Token: t.ID, Time: now, Criticality: 1}
	if t.Env == "prod" || t.Env == "production" {
		r.Criticality = riskProd
	}
	if t.Usable(now) {
		r.posture(t, now)
		r.exposure(t)
	}
	if t.State == TokenZombie {
		end := earliest(t.Revoked, t.Expired, t.Expires)
		r.add(RiskBehaviour, "used_after_end", end, 0.6, "It is used although it has ended.", "Find out who accepts it, and block it there.")
	}
	r.behaviour(findings, earliest(now, t.AsOf))
	slices.SortStableFunc(r.Factors, func(a, b RiskFactor) int {
		return cmp.Or(cmp.Compare(b.Weight*b.Decay, a.Weight*a.Decay), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Finding, b.Finding))
	})
	safe := 1.0
	for _, f := range r.Factors {
		safe *= 1 - f.Weight*f.Decay
	}
	r.Score = int(math.Round(min(100, 100*(1-safe)*r.Criticality)))
	r.Severity = SeverityOf(r.Score)
	return r
}

// add adds a factor that does not fade.
func (r *Risk) add(group RiskGroup, name string, since time.Time, weight float64, text, remedy string) {
	r.Factors = append(r.Factors, RiskFactor{
		Name: name, Group: group, Since: since, Weight: weight, Decay: 1, Text: text, Remedy: remedy,
	})
}

// posture are facts that hold without any use. Of a token that was only seen in
// use nothing is known that could be wrong.
func (r *Risk) posture(t *TokenRecord, now time.Time) {
	made := t.KeyCreated
	if made.IsZero() {
		made = t.Created
	}
	if !t.OwnerLeft.IsZero() {
		r.add(RiskPosture, "owner_left", t.OwnerLeft, 0.35, "Its owner has left.", "Give it a new owner, or revoke it.")
	} else if t.Known && t.Owner == "" {
		r.add(RiskPosture, "no_owner", made, 0.1, "Nobody owns it.", "Give it an owner.")
	}
	if t.NeverExpires || t.Known && t.Expires.IsZero() {
		r.add(RiskPosture, "no_expiry", made, 0.15, "It has no end.", "Give it an end.")
	}
	if due := made.AddDate(0, 0, t.RotationDays); t.RotationDays > 0 && !made.IsZero() && now.After(due) {
		r.add(RiskPosture, "rotation_overdue", due, 0.2, fmt.Sprintf("It should be rotated every %d days.", t.RotationDays), "Rotate it.")
	} else if !made.IsZero() && now.Sub(made) > riskOldAfter {
		r.add(RiskPosture, "old", made.Add(riskOldAfter), 0.1, "Its secret is more than a year old.", "Rotate it.")
	}
	if !t.OverlapUntil.IsZero() && now.After(t.OverlapUntil) {
		r.add(RiskPosture, "overlap_over", t.OverlapUntil, 0.2, "It has a successor, and still can be used.", "Revoke it.")
	}
	if t.State == TokenDormant {
		r.add(RiskPosture, "dormant", t.LastUsed.Add(DormantAfter), 0.15, "It is not used.", "Revoke it.")
	}
	if idle := unused(t); idle > 0 && t.Events > 0 && t.Covered(time.Time{}) {
		r.add(RiskPosture, "unused_scopes", made, 0.15*float64(idle)/float64(len(t.Scopes)),
			fmt.Sprintf("Of its %d scopes it never used %d.", len(t.Scopes), idle), "Take away the scopes that it does not use.")
	}
	if slices.ContainsFunc(t.Scopes, wide) {
		r.add(RiskPosture, "wide_scopes", made, 0.15, "It may do anything, or administer.", "Narrow its scopes.")
	}
}

// unused counts the scopes that were granted and never used; 0 where nothing is
// known of the use of scopes.
func unused(t *TokenRecord) int {
	if len(t.Used) == 0 {
		return 0
	}
	n := 0
	for _, s := range t.Scopes {
		if !slices.Contains(t.Used, s) {
			n++
		}
	}
	return n
}

// wide tells of a scope that covers everything, or whom may do what.
func wide(scope string) bool {
	return scope == "*" || scope == "admin" || len(scope) > 2 && scope[len(scope)-2:] == ":*"
}

func (r *Risk) exposure(t *TokenRecord) {
	for _, e := range t.Exposed {
		if !t.KeyCreated.IsZero() && t.KeyCreated.After(e.Time) {
			continue // another secret
		}
		where := e.Place
		if where == "" {
			where = "a place where it should not be"
		}
		r.add(RiskExposure, "exposed", e.Time, 0.6, "Its secret was seen in "+where+".", "Rotate it, and revoke this one.")
	}
}

// behaviour are findings, by their score, how they were judged and how long ago.
func (r *Risk) behaviour(findings []Finding, now time.Time) {
	for i := range findings {
		f := &findings[i]
		share := verdictOpen
		switch {
		case f.Withdrawn, f.SuppressedBy != "", f.Verdict == VerdictFalsePositive, f.Verdict == VerdictBenign:
			continue
		case f.Verdict == VerdictTruePositive:
			share = 1
		}
		age := max(0, now.Sub(f.Time))
		r.Factors = append(r.Factors, RiskFactor{
			Name: f.Kind, Group: RiskBehaviour, Since: f.Time, Weight: share * float64(f.Score) / 100,
			Decay: math.Exp2(-float64(age) / float64(riskHalfLife)), Text: f.Summary,
			Remedy: "Look into finding " + f.ID + ", and judge it.", Finding: f.ID,
		})
	}
}

func earliest(times ...time.Time) time.Time {
	var least time.Time
	for _, t := range times {
		if !t.IsZero() && (least.IsZero() || t.Before(least)) {
			least = t
		}
	}
	return least
}
