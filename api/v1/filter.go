package v1

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tokenwatch/tokenwatch"
)

// filter is a list of terms that must all hold: the subset of AIP-160 that is
// field, operator, value, joined by AND.
type filter []term

type term struct {
	field string
	want  string
}

const (
	maxFilter = 4096 // characters
	maxTerms  = 32
)

// scalars are the fields that = compares. A field may have several names of the
// same thing: one of them must be equal.
var scalars = map[string]func(*tokenwatch.Finding) []string{
	"id":          func(f *tokenwatch.Finding) []string { return []string{f.ID} },
	"entity_kind": func(f *tokenwatch.Finding) []string { return []string{f.EntityKind.String()} },
	"entity":      func(f *tokenwatch.Finding) []string { return []string{f.Entity} },
	"token":       tokenNames,
	"actor":       func(f *tokenwatch.Finding) []string { return []string{f.Actor} },
	"kind":        func(f *tokenwatch.Finding) []string { return []string{f.Kind} },
	"class":       func(f *tokenwatch.Finding) []string { return []string{string(f.Class)} },
	"severity":    func(f *tokenwatch.Finding) []string { return []string{string(f.Severity)} },
	"status":      func(f *tokenwatch.Finding) []string { return []string{f.Status} },
	"src_ip":      func(f *tokenwatch.Finding) []string { return []string{f.SrcIP} },
	"settled":     func(f *tokenwatch.Finding) []string { return []string{strconv.FormatBool(f.Settled)} },
	"withdrawn":   func(f *tokenwatch.Finding) []string { return []string{strconv.FormatBool(f.Withdrawn)} },
	"learning":    func(f *tokenwatch.Finding) []string { return []string{strconv.FormatBool(f.Learning)} },
}

// lists are the fields of which : asks whether they have a value.
var lists = map[string]func(*tokenwatch.Finding) []string{
	"detectors":   func(f *tokenwatch.Finding) []string { return f.Detectors },
	"request_ids": func(f *tokenwatch.Finding) []string { return f.RequestIDs },
	"attack":      func(f *tokenwatch.Finding) []string { return f.Attack },
}

func tokenNames(f *tokenwatch.Finding) []string {
	names := []string{string(f.Token)}
	for _, a := range f.Aliases {
		names = append(names, a.Value)
	}
	return names
}

// parseFilter reads a filter; an empty one lets everything through.
func parseFilter(s string) (filter, error) {
	if len(s) > maxFilter {
		return nil, badFilter("the filter is too long")
	}
	var f filter
	rest := strings.TrimSpace(s)
	for rest != "" {
		if len(f) == maxTerms {
			return nil, badFilter("the filter has too many terms")
		}
		if len(f) > 0 {
			after, ok := strings.CutPrefix(rest, "AND")
			if !ok || after == strings.TrimLeft(after, " \t") {
				return nil, badFilter("terms are joined by AND")
			}
			rest = strings.TrimLeft(after, " \t")
		}
		t, after, err := parseTerm(rest)
		if err != nil {
			return nil, err
		}
		f, rest = append(f, t), strings.TrimLeft(after, " \t")
	}
	return f, nil
}

func parseTerm(s string) (term, string, error) {
	i := strings.IndexAny(s, "=:")
	if i < 0 {
		return term{}, "", badFilter("a term is a field, = or :, and a value")
	}
	field := strings.TrimSpace(s[:i])
	fields, kind := scalars, "="
	if s[i] == ':' {
		fields, kind = lists, ":"
	}
	if fields[field] == nil {
		return term{}, "", badFilter("no field of that name can be compared by " + kind)
	}
	want, rest, err := parseValue(strings.TrimLeft(s[i+1:], " \t"))
	return term{field, want}, rest, err
}

// parseValue reads a value in double quotes with Go's escapes, or a bare word.
func parseValue(s string) (value, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return "", "", badFilter("a quoted value does not end or has an unknown escape")
		}
		value, err := strconv.Unquote(quoted)
		if err != nil {
			return "", "", badFilter("a quoted value has an unknown escape")
		}
		return value, s[len(quoted):], nil
	}
	end := strings.IndexAny(s, " \t")
	if end < 0 {
		end = len(s)
	}
	if end == 0 || strings.ContainsAny(s[:end], `"'()=<>!*`) {
		return "", "", badFilter("a value is missing or must be quoted")
	}
	return s[:end], s[end:], nil
}

func badFilter(message string) error { return Fail(ReasonBadFilter, message, 0) }

// match tells whether every term holds of f.
func (fs filter) match(f *tokenwatch.Finding) bool {
	for _, t := range fs {
		get := scalars[t.field]
		if get == nil {
			get = lists[t.field]
		}
		if !slices.Contains(get(f), t.want) {
			return false
		}
	}
	return true
}
