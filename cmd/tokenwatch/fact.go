package main

import (
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// toldFact is a fact as it is printed.
type toldFact struct {
	Kind     tokenwatch.FactKind `json:"kind"`
	Token    tokenwatch.TokenID  `json:"token,omitempty"`
	Previous tokenwatch.TokenID  `json:"previous,omitempty"`
	Lineage  string              `json:"lineage,omitempty"`
	Owner    string              `json:"owner,omitempty"`
	Label    string              `json:"label,omitempty"`
	Type     string              `json:"token_type,omitempty"`
	App      string              `json:"app,omitempty"`
	Env      string              `json:"env,omitempty"`
	Scopes   []string            `json:"scopes,omitempty"`
	Removed  []string            `json:"removed,omitempty"`
	Expires  string              `json:"expires,omitempty"` // a time or never
	Until    string              `json:"until,omitempty"`
	Place    string              `json:"place,omitempty"`
}

func tell(f tokenwatch.Fact) toldFact {
	return toldFact{
		Kind: f.Kind, Token: f.Token, Previous: f.Previous, Lineage: f.Lineage,
		Owner: f.Owner, Label: f.Label, Type: f.TokenType, App: f.App, Env: f.Env,
		Scopes: f.Scopes, Removed: f.Removed, Expires: tellTime(f.Expires), Until: tellTime(f.Until), Place: f.Place,
	}
}

func tellTime(ns int64) string {
	switch ns {
	case 0:
		return ""
	case tokenwatch.Never:
		return "never"
	default:
		return time.Unix(0, ns).UTC().Format(time.RFC3339Nano)
	}
}
