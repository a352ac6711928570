package main

import (
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// table is rows of text: columns in line on a terminal, where the last one gives
// way to the width; values between tabs in a pipe. Values are escaped.
type table struct {
	head []string
	rows [][]string
	mark func(row []string) string // colour of a row's first column; nil: none
	keep []int                     // columns that are never shortened: ids
}

func (t *table) add(values ...string) {
	row := make([]string, len(values))
	for i, v := range values {
		row[i] = shown(v)
	}
	t.rows = append(t.rows, row)
}

// write prints the table, nothing at all if it has no rows.
func (t *table) write(c *console) error {
	if len(t.rows) == 0 {
		return nil
	}
	var b strings.Builder
	if c.outWidth == 0 {
		for _, row := range t.rows {
			b.WriteString(strings.Join(row, "\t") + "\n")
		}
	} else {
		t.align(&b, c)
	}
	_, err := io.WriteString(c.stdout, b.String())
	return err
}

func (t *table) align(b *strings.Builder, c *console) {
	widths := make([]int, len(t.head))
	head := make([]string, len(t.head))
	for i, h := range t.head {
		head[i] = strings.ToUpper(h)
	}
	for _, row := range append([][]string{head}, t.rows...) {
		for i, v := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(v))
		}
	}
	t.fit(widths, c.outWidth)
	t.line(b, head, widths, c.outWidth, "")
	for _, row := range t.rows {
		colour := ""
		if t.mark != nil && c.colour {
			colour = t.mark(row)
		}
		t.line(b, row, widths, c.outWidth, colour)
	}
}

// fit narrows columns, the widest first, until the last one has some room.
func (t *table) fit(widths []int, limit int) {
	const room, least = 20, 12
	last := len(widths) - 1
	for {
		used, widest := 0, -1
		for i, w := range widths[:last] {
			used += w + gap
			if w > least && !slices.Contains(t.keep, i) && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if used+min(room, widths[last]) <= limit || widest < 0 {
			return
		}
		widths[widest]--
	}
}

const (
	gap   = 2
	reset = "\x1b[0m"
)

func (t *table) line(b *strings.Builder, row []string, widths []int, limit int, colour string) {
	used := 0
	for i, v := range row {
		last := i == len(row)-1
		if last {
			v = cut(v, max(limit-used, 10))
		} else {
			v = cutMiddle(v, widths[i])
		}
		if i == 0 && colour != "" {
			b.WriteString(colour + v + reset)
		} else {
			b.WriteString(v)
		}
		if !last {
			b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(v)+gap))
			used += widths[i] + gap
		}
	}
	b.WriteByte('\n')
}

// cutMiddle shortens s to n characters and keeps its end, by which names differ.
func cutMiddle(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	head := (n - 1) / 3
	return string(r[:head]) + "…" + string(r[len(r)-(n-1-head):])
}

// cut shortens s to at most n characters.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
