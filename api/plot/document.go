package plot

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"unicode"
)

// document is an SVG document being written.
type document struct{ bytes.Buffer }

// open begins the document; title and description are what is read out.
func (d *document) open(title, description string) {
	d.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-labelledby="title desc">`, width, height, width, height)
	d.add(`<title id="title">%s</title>`, escape(title))
	d.add(`<desc id="desc">%s</desc>`, escape(description))
	d.add(`<style>%s</style>`, style)
	d.add(`<rect class="ground" width="%d" height="%d"/>`, width, height)
}

func (d *document) close() []byte {
	d.add(`</svg>`)
	return d.Bytes()
}

// add writes an element; whoever calls it has escaped what is not its own.
func (d *document) add(format string, args ...any) {
	fmt.Fprintf(&d.Buffer, format, args...)
	d.WriteByte('\n')
}

// textAt writes a text, escaped.
func (d *document) textAt(x, y int, class, format string, args ...any) {
	d.add(`<text class="%s" x="%d" y="%d">%s</text>`, class, x, y, escape(fmt.Sprintf(format, args...)))
}

// escape makes a text harmless: what XML gives a meaning, and what is not printed
// but changes how the rest is, such as controls and changes of direction.
func escape(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
	var b strings.Builder
	if xml.EscapeText(&b, []byte(s)) != nil {
		return "" // a strings.Builder does not fail
	}
	return b.String()
}
