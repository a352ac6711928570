package plot

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

// chart is one picture: bars of what was seen over the band of what was expected.
type chart struct {
	title, text string
	series      tokenwatch.Series
	windows     []tokenwatch.Window
	marked      string // what the windows are
	events      []mark
}

// The picture's measures, in pixels.
const (
	width, height           = 960, 440
	left, right, top, floor = 72, 936, 128, 350
)

// style has each colour twice: for light ground and for dark.
const style = `
.ground{fill:#fff}.ink{fill:#1b1f24}.dim{fill:#57606a}.grid{stroke:#d8dee4}.axis{stroke:#57606a}
.band{fill:#54aeff;fill-opacity:.28}.middle{stroke:#0969da;fill:none}.bar{fill:#6e7781}.hit{fill:#cf222e}.bad{fill:#bc4c00}
.window{fill:#d4a72c;fill-opacity:.22}.edge{stroke:#9a6700}.event{fill:#8250df}
@media (prefers-color-scheme:dark){
.ground{fill:#0d1117}.ink{fill:#e6edf3}.dim{fill:#8d96a0}.grid{stroke:#30363d}.axis{stroke:#8d96a0}
.band{fill:#388bfd;fill-opacity:.34}.middle{stroke:#79c0ff}.bar{fill:#9ea7b3}.hit{fill:#ff7b72}.bad{fill:#f0883e}
.window{fill:#bb8009;fill-opacity:.3}.edge{stroke:#d29922}.event{fill:#d2a8ff}}
text{font:12px system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}.head{font-size:17px;font-weight:600}.lead{font-size:13px}.end{text-anchor:end}.mid{text-anchor:middle}
`

func (c *chart) draw() []byte {
	var d document
	d.open(c.title, c.describe())
	d.textAt(24, 34, "head ink", "%s", fit(c.title, 100))
	for i, line := range wrap(c.text, 132) {
		d.textAt(24, 56+18*i, "lead dim", "%s", line)
	}
	n := len(c.series.Observed)
	if n == 0 {
		d.textAt((left+right)/2, (top+floor)/2, "mid dim", "What was seen in this time is not stored here.")
		return d.close()
	}
	y := c.scale()
	x := axis{from: c.series.Start, to: c.series.Start.Add(time.Duration(n) * c.series.Hours())}
	for i, w := range c.windows {
		a, b := x.at(w.Start), x.at(w.End)
		if b <= left || a >= right || i > 0 && w == c.windows[i-1] {
			continue
		}
		d.add(`<rect class="window" x="%.1f" y="%d" width="%.1f" height="%d"/>`, a, top-12, b-a, floor-top+12)
		d.add(`<path class="edge" d="M%.1f %dV%dM%.1f %dV%d"/>`, a, top-12, floor, b, top-12, floor)
	}
	y.draw(&d)
	c.band(&d, x, y)
	c.bars(&d, x, y)
	c.middle(&d, x, y)
	c.marks(&d, x)
	x.draw(&d)
	c.legend(&d)
	return d.close()
}

// describe says in words what the picture shows.
func (c *chart) describe() string {
	var b strings.Builder
	b.WriteString(c.text)
	s := &c.series
	fmt.Fprintf(&b, " Requests in each step of %d h from %s UTC on.", max(1, s.Step), s.Start.UTC().Format("2006-01-02 15:04"))
	for i, n := range s.Observed {
		if c.inWindow(i) && n > 0 {
			b.WriteString(" " + c.tell(i) + ".")
		}
	}
	return b.String()
}

// tell says an element in words.
func (c *chart) tell(i int) string {
	s := &c.series
	text := fmt.Sprintf("%s UTC: %d requests", s.Start.Add(time.Duration(i)*s.Hours()).UTC().Format("2006-01-02 15:04"), s.Observed[i])
	if i < len(s.Failed) && s.Failed[i] > 0 {
		text += fmt.Sprintf(", %d refused or failed", s.Failed[i])
	}
	if i < len(s.High) {
		text += fmt.Sprintf("; expected %d to %d, middle %d", s.Low[i], s.High[i], s.Median[i])
	}
	return text
}

func (c *chart) inWindow(i int) bool {
	at := c.series.Start.Add(time.Duration(i) * c.series.Hours())
	for _, w := range c.windows {
		if at.Before(w.End) && at.Add(c.series.Hours()).After(w.Start) {
			return true
		}
	}
	return false
}

// scale fits the values; where the bars tower above the band, by square roots, so
// that both can be seen.
func (c *chart) scale() scale {
	most, usual := uint32(0), uint32(1)
	for _, n := range c.series.Observed {
		most = max(most, n)
	}
	for _, n := range c.series.High {
		usual = max(usual, n)
	}
	step := "hour"
	if c.series.Step != 1 {
		step = fmt.Sprintf("%d hours", c.series.Step)
	}
	return newScale(float64(max(most, usual)), len(c.series.High) > 0 && most/8 > usual, "requests per "+step)
}

// band draws between what was expected, in steps.
func (c *chart) band(d *document, x axis, y scale) {
	s := &c.series
	n := min(len(s.High), len(s.Observed))
	if n == 0 {
		return
	}
	var upper, lower strings.Builder
	for i := range n {
		a, b := x.element(s, i)
		fmt.Fprintf(&upper, "L%.1f %.1fL%.1f %.1f", a, y.at(s.High[i]), b, y.at(s.High[i]))
	}
	for i := n - 1; i >= 0; i-- {
		a, b := x.element(s, i)
		fmt.Fprintf(&lower, "L%.1f %.1fL%.1f %.1f", b, y.at(s.Low[i]), a, y.at(s.Low[i]))
	}
	d.add(`<path class="band" d="M%s%sZ"/>`, upper.String()[1:], lower.String())
}

// middle draws the middle of what was expected, over the bars.
func (c *chart) middle(d *document, x axis, y scale) {
	s := &c.series
	var line strings.Builder
	for i := range min(len(s.Median), len(s.Observed)) {
		a, b := x.element(s, i)
		fmt.Fprintf(&line, "L%.1f %.1fL%.1f %.1f", a, y.at(s.Median[i]), b, y.at(s.Median[i]))
	}
	if line.Len() > 0 {
		d.add(`<path class="middle" stroke-width="1.5" stroke-dasharray="4 3" d="M%s"/>`, line.String()[1:])
	}
}

// bars draws what was seen, what failed of it at the foot.
func (c *chart) bars(d *document, x axis, y scale) {
	s := &c.series
	peak := 0
	for i, n := range s.Observed {
		if n > s.Observed[peak] {
			peak = i
		}
	}
	for i, n := range s.Observed {
		if n == 0 {
			continue
		}
		a, b := x.element(s, i)
		gap := min(2, (b-a)/8)
		class := "bar"
		if c.inWindow(i) {
			class = "hit"
		}
		d.add(`<g><title>%s</title><rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`,
			escape(c.tell(i)), class, a+gap, y.at(n), b-a-2*gap, floor-y.at(n))
		if i < len(s.Failed) && s.Failed[i] > 0 {
			d.add(`<rect class="bad" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, a+gap, y.at(s.Failed[i]), b-a-2*gap, floor-y.at(s.Failed[i]))
		}
		d.add(`</g>`)
		if i == peak {
			d.textAt(int(math.Round((a+b)/2)), int(y.at(n))-5, "mid ink", "%s", short(float64(n)))
		}
	}
}

// marks puts the evidence under the axis.
func (c *chart) marks(d *document, x axis) {
	for _, e := range c.events {
		at := x.at(e.at)
		if at < left || at > right {
			continue
		}
		d.add(`<path class="event" d="M%.1f %dl4 8h-8z"><title>%s</title></path>`, at, floor+2, escape(e.at.UTC().Format("15:04:05 ")+"UTC "+fit(e.text, 120)))
	}
}

// legend names what is drawn.
func (c *chart) legend(d *document) {
	x, y := left, height-22
	entry := func(mark, text string) {
		d.add(`<g transform="translate(%d %d)">%s</g>`, x, y, mark)
		d.textAt(x+20, y, "dim", "%s", text)
		x += 44 + 6*len([]rune(text))
	}
	entry(`<rect class="bar" y="-10" width="12" height="11"/>`, "seen")
	failed := false
	for _, n := range c.series.Failed {
		failed = failed || n > 0
	}
	if failed {
		entry(`<rect class="bad" y="-10" width="12" height="11"/>`, "refused or failed")
	}
	if len(c.series.High) > 0 {
		what := "nine of ten such hours"
		if c.series.Step != 1 {
			what = "nine of ten such steps"
		}
		switch {
		case c.series.AsOf.IsZero() && c.series.Peers == 0:
			what += ", built in"
		case c.series.AsOf.IsZero():
			what += ", by its peers"
		}
		entry(`<rect class="band" y="-10" width="12" height="11"/>`, what)
		entry(`<path class="middle" stroke-width="1.5" stroke-dasharray="4 3" d="M-2 -4H14"/>`, "middle")
	}
	if c.series.Peers > 0 {
		d.textAt(right, 110, "end dim", "%d peers: %s in the mean active hour", c.series.Peers, short(float64(c.series.PeerMean)))
	}
	if len(c.windows) > 0 {
		entry(`<rect class="window" y="-10" width="12" height="11"/>`, c.marked)
	}
	if len(c.events) > 0 {
		entry(`<path class="event" d="M6 -9l4 8h-8z"/>`, "evidence")
	}
}
