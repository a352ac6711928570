package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// label says what an event of the trail was part of.
type label struct {
	Time  time.Time `json:"eventTime"`
	Key   string    `json:"accessKeyId"` // "" if the event has none
	Label string    `json:"label"`
}

// Roles of credentials, the strongest that its events give one.
const (
	attacker  = "attacker"
	stolen    = "stolen session"
	ambiguous = "ambiguous" // the attacker's own person in a browser, or a service
	honest    = "honest"
)

// roles maps labels to roles, in order of strength.
var roles = []struct{ label, role string }{
	{"stolen-instance-credentials", stolen},
	{"detonate", attacker}, {"tool-start", attacker}, {"scaffolding", attacker}, {"revert", attacker},
	{"operator-console-or-service", ambiguous},
}

// trail is what was found in the trail.
type trail struct {
	With        string       `json:"with"`        // what was left on: all, or not the rules
	Credentials int          `json:"credentials"` // in the log
	Hours       float64      `json:"hours"`       // of log
	Attack      []credential `json:"attack"`      // the attack's, the highest rank first
	Honest      float64      `json:"honest"`      // findings an hour on honest credentials
	Ambiguous   float64      `json:"ambiguous"`   // the same on ambiguous ones
}

// credential is an access key, and what was found about it.
type credential struct {
	Key     string   `json:"key"`
	Role    string   `json:"role"`
	Score   int      `json:"score"`   // highest of its settled findings; 0: there is none
	Rank    int      `json:"rank"`    // among all credentials, by score; 0 if not found
	Above   int      `json:"above"`   // others that are not the attack's with at least that score
	Minutes float64  `json:"minutes"` // from its first event to the one that raised the first finding
	Kinds   []string `json:"kinds"`   // of its settled findings
	first   time.Time
	alarm   time.Time
}

func (c *credential) attack() bool { return c.Role == attacker || c.Role == stolen }

// judge compares findings, all revisions of them, with the labels of a trail.
// Findings count for the credential whose access key they name; those that name
// none known count as honest ones.
func judge(with string, labels []label, findings []tokenwatch.Finding) trail {
	t := trail{With: with}
	known := map[string]*credential{}
	var from, to time.Time
	for _, l := range labels {
		if from.IsZero() || l.Time.Before(from) {
			from = l.Time
		}
		if l.Time.After(to) {
			to = l.Time
		}
		if l.Key == "" {
			continue
		}
		c := known[l.Key]
		if c == nil {
			c = &credential{Key: l.Key, Role: honest, first: l.Time}
			known[l.Key] = c
		}
		if l.Time.Before(c.first) {
			c.first = l.Time
		}
		if role := roleOf(l.Label); strength(role) < strength(c.Role) {
			c.Role = role
		}
	}
	t.Credentials, t.Hours = len(known), to.Sub(from).Hours()
	perHour := 1 / max(t.Hours, 1.0/60)
	for _, f := range findings {
		c := about(&f, known)
		if c != nil && !f.Settled && (c.alarm.IsZero() || f.Time.Before(c.alarm)) {
			c.alarm = f.Time
		}
		switch {
		case !f.Settled || f.Withdrawn:
		case c == nil || c.Role == honest:
			t.Honest += perHour
		case c.Role == ambiguous:
			t.Ambiguous += perHour
		}
		if c != nil && f.Settled && !f.Withdrawn {
			c.Score = max(c.Score, f.Score)
			if !slices.Contains(c.Kinds, f.Kind) {
				c.Kinds = append(c.Kinds, f.Kind)
			}
		}
	}
	for _, c := range known {
		if !c.attack() {
			continue
		}
		if c.Score > 0 {
			c.Rank, c.Minutes = 1, c.alarm.Sub(c.first).Minutes()
			for _, o := range known {
				if o.Score > c.Score {
					c.Rank++
				}
				if o.Score >= c.Score && !o.attack() {
					c.Above++
				}
			}
		}
		t.Attack = append(t.Attack, *c)
	}
	slices.SortFunc(t.Attack, func(a, b credential) int { return cmp.Or(-cmp.Compare(a.Score, b.Score), cmp.Compare(a.Key, b.Key)) })
	return t
}

// about finds the credential that a finding names.
func about(f *tokenwatch.Finding, known map[string]*credential) *credential {
	for _, a := range f.Aliases {
		if c := known[a.Value]; c != nil {
			return c
		}
	}
	return nil
}

func roleOf(label string) string {
	for _, r := range roles {
		if r.label == label {
			return r.role
		}
	}
	return honest
}

// strength is the place of a role, the strongest first.
func strength(role string) int {
	return slices.Index([]string{stolen, attacker, ambiguous, honest}, role)
}
