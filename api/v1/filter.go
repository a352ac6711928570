package v1

import (
	"errors"
	"maps"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api/filter"
)

// Findings are judged by their severity, lowest first.
var severities = []string{
	string(tokenwatch.SeverityLow), string(tokenwatch.SeverityMedium),
	string(tokenwatch.SeverityHigh), string(tokenwatch.SeverityCritical),
}

// FindingFields are what filters and orders of findings may name.
var FindingFields = filter.Fields[tokenwatch.Finding]{
	"id":            filter.Text(func(f *tokenwatch.Finding) string { return f.ID }),
	"entity_kind":   filter.Text(func(f *tokenwatch.Finding) string { return f.EntityKind.String() }),
	"entity":        filter.Text(func(f *tokenwatch.Finding) string { return f.Entity }),
	"token":         filter.Names(tokenNames),
	"actor":         filter.Text(func(f *tokenwatch.Finding) string { return f.Actor }),
	"kind":          filter.Text(func(f *tokenwatch.Finding) string { return f.Kind }),
	"class":         filter.Text(func(f *tokenwatch.Finding) string { return string(f.Class) }),
	"severity":      filter.Ranked(severities, func(f *tokenwatch.Finding) string { return string(f.Severity) }),
	"summary":       filter.Text(func(f *tokenwatch.Finding) string { return f.Summary }),
	"status":        filter.Text(func(f *tokenwatch.Finding) string { return f.Status }),
	"src_ip":        filter.Address(func(f *tokenwatch.Finding) string { return f.SrcIP }),
	"continues":     filter.Text(func(f *tokenwatch.Finding) string { return f.Continues }),
	"score":         filter.Number(func(f *tokenwatch.Finding) float64 { return float64(f.Score) }),
	"revision":      filter.Number(func(f *tokenwatch.Finding) float64 { return float64(f.Revision) }),
	"update":        filter.Number(func(f *tokenwatch.Finding) float64 { return float64(f.Update) }),
	"settled":       filter.Bool(func(f *tokenwatch.Finding) bool { return f.Settled }),
	"withdrawn":     filter.Bool(func(f *tokenwatch.Finding) bool { return f.Withdrawn }),
	"learning":      filter.Bool(func(f *tokenwatch.Finding) bool { return f.Learning }),
	"time":          filter.Time(func(f *tokenwatch.Finding) time.Time { return f.Time }),
	"raised":        filter.Time(func(f *tokenwatch.Finding) time.Time { return f.Raised }),
	"verdict":       filter.Text(func(f *tokenwatch.Finding) string { return f.Verdict }),
	"note":          filter.Text(func(f *tokenwatch.Finding) string { return f.Note }),
	"judged_by":     filter.Text(func(f *tokenwatch.Finding) string { return f.JudgedBy }),
	"judged":        filter.Time(func(f *tokenwatch.Finding) time.Time { return f.Judged }),
	"suppressed":    filter.Bool(func(f *tokenwatch.Finding) bool { return f.SuppressedBy != "" }),
	"suppressed_by": filter.Text(func(f *tokenwatch.Finding) string { return f.SuppressedBy }),
	"detectors":     filter.List(func(f *tokenwatch.Finding) []string { return f.Detectors }),
	"request_ids":   filter.List(func(f *tokenwatch.Finding) []string { return f.RequestIDs }),
	"controls":      filter.List(func(f *tokenwatch.Finding) []string { return f.Controls }),
	"attack":        filter.List(func(f *tokenwatch.Finding) []string { return f.Attack }),
}

// scopeFields are those of FindingFields that the engine sets: a suppression must
// not depend on what people do.
var scopeFields = func() filter.Fields[tokenwatch.Finding] {
	fields := maps.Clone(FindingFields)
	for _, name := range []string{"status", "verdict", "note", "judged", "judged_by", "suppressed", "suppressed_by", "update", "raised", "revision"} {
		delete(fields, name)
	}
	return fields
}()

func tokenNames(f *tokenwatch.Finding) []string {
	names := []string{string(f.Token)}
	for _, a := range f.Aliases {
		names = append(names, a.Value)
	}
	return names
}

// searched are the texts of a finding that a word by itself is looked for in.
func searched(f *tokenwatch.Finding) []string {
	return append(tokenNames(f), f.ID, f.Entity, f.Actor, f.Kind, f.SrcIP, f.Summary)
}

// FindingFilter reads a filter over findings. name turns what stands for a
// token, a secret too, into its ids; nil leaves it.
func FindingFilter(text string, name func(string) []string) (filter.Filter[tokenwatch.Finding], error) {
	f, err := filter.Parse(text, filter.Config[tokenwatch.Finding]{Fields: FindingFields, Search: searched, Name: name})
	return f, badFilter(err)
}

// badFilter is what a text that is no filter or no order is answered with.
func badFilter(err error) error {
	var bad *filter.Error
	if errors.As(err, &bad) {
		return Fail(ReasonBadFilter, bad.Error(), 0)
	}
	return err
}
