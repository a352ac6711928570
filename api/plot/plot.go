// Package plot draws what the API tells, as SVG: what an entity did, over what was
// expected of it.
//
// In come findings and series, out go whole documents: nothing in them is loaded
// from elsewhere or runs, all text is escaped, and they say in words what they show.
// They are readable on light and on dark ground, by what the reader prefers. Equal
// input gives equal bytes.
package plot

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tokenwatch/tokenwatch"
)

// ContentType is what the documents are served as.
const ContentType = "image/svg+xml; charset=utf-8"

// Finding draws a finding's series, with its window and evidence marked. Without a
// series it says so.
func Finding(f *tokenwatch.Finding) []byte {
	name := f.Entity
	if f.EntityKind == tokenwatch.EntityToken {
		for _, a := range f.Aliases {
			if a.Kind == tokenwatch.NameAccessKeyID || a.Kind == tokenwatch.NamePrefix {
				name = a.Value
				break
			}
		}
	}
	c := chart{
		title: fmt.Sprintf("%s %d · %s · %s %s", f.Severity, f.Score, f.Kind, f.EntityKind, name),
		text:  f.Summary, windows: []tokenwatch.Window{f.Window}, marked: "the finding's window",
	}
	if f.Series != nil {
		c.series = *f.Series
	}
	for i := range f.Evidence {
		e := &f.Evidence[i]
		what := e.Action
		if e.SrcIP != "" {
			what += " from " + e.SrcIP
		}
		c.events = append(c.events, mark{e.Time, what})
	}
	return c.draw()
}

// Token draws how much a token was used, with the windows of its findings marked.
func Token(name string, s tokenwatch.Series, findings []tokenwatch.Finding) []byte {
	c := chart{title: "token " + name, series: s, marked: "findings"}
	for i := range findings {
		if f := &findings[i]; !f.Withdrawn {
			c.windows = append(c.windows, f.Window)
		}
	}
	switch n := len(c.windows); n {
	case 0:
		c.text = "No findings in this time."
	case 1:
		c.text = "One finding in this time."
	default:
		c.text = fmt.Sprintf("%d findings in this time.", n)
	}
	return c.draw()
}

// mark is one event on the axis of time.
type mark struct {
	at   time.Time
	text string
}

// fit shortens a text to about so many characters.
func fit(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// wrap breaks a text into at most two lines of about so many characters.
func wrap(s string, n int) []string {
	if utf8.RuneCountInString(s) <= n {
		return []string{s}
	}
	head := string([]rune(s)[:n])
	at := strings.LastIndexByte(head, ' ')
	if at <= 0 {
		return []string{fit(s, n)}
	}
	return []string{head[:at], fit(strings.TrimSpace(s[at:]), n)}
}
