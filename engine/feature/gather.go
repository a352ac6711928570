package feature

import (
	"strings"

	"github.com/tokenwatch/tokenwatch"
	"github.com/zeebo/xxh3"
)

// gather makes the events of the rows, block by block, each column after the other: a
// block stays in the nearest cache meanwhile.
func (r *Rows) gather() {
	n := r.Batch.Rows()
	if cap(r.Events) < n {
		r.Events = make([]Event, n)
	}
	r.Events = r.Events[:n]
	r.hashTies()
	r.hashOutcomes()
	for from := 0; from < n; from += blockRows {
		to := min(from+blockRows, n)
		clear(r.Events[from:to])
		r.times(from, to)
		r.values(from, to)
		r.answers(from, to)
		r.leads(from, to)
		r.objects(from, to)
		r.tie(from, to)
	}
}

// blockRows is how many events are 16 KiB.
const blockRows = 128

func (r *Rows) times(from, to int) {
	times := r.Batch.Column(tokenwatch.ColTime)
	late, future, duplicate := r.Batch.Column(tokenwatch.ColLate).Bools, r.Batch.Column(tokenwatch.ColFuture).Bools, r.Batch.Column(tokenwatch.ColDuplicate).Bools
	for i := from; i < to; i++ {
		e, t := &r.Events[i], int64(0)
		if times.Ints != nil && times.Valid.At(i) {
			t = times.Ints[i]
		}
		e.Millis, e.Hour = t/1e6, NoHour
		if t > 0 && !(late != nil && late[i] || future != nil && future[i] || duplicate != nil && duplicate[i]) {
			e.Hour = int32(e.Millis / hourMillis)
		}
	}
}

// values looks up what is hashed once for each value of the batch.
func (r *Rows) values(from, to int) {
	for a := range r.axes {
		if c := &r.axes[a]; c.Codes != nil {
			for i, code := range c.Codes[from:to] {
				r.Events[from+i].Axes[a] = c.Hashes[code]
			}
		}
	}
	if c := &r.kinds; c.Codes != nil {
		for i, code := range c.Codes[from:to] {
			r.Events[from+i].Kind = c.Hashes[code]
		}
	}
	if c := &r.Tokens; c.Codes != nil {
		for i, code := range c.Codes[from:to] {
			r.Events[from+i].Token = c.Hashes[code]
		}
	}
	if codes := r.Batch.Column(tokenwatch.ColTokenKind).Codes; codes != nil {
		for i, code := range codes[from:to] {
			r.Events[from+i].Passing = r.passing[code]
		}
	}
	if codes := r.Batch.Column(tokenwatch.ColActorKind).Codes; codes != nil {
		for i, code := range codes[from:to] {
			r.Events[from+i].Session = r.session[code]
		}
	}
}

// hashOutcomes tells what each outcome of the batch says of the answer.
func (r *Rows) hashOutcomes() {
	outcome := r.Batch.Column(tokenwatch.ColOutcome)
	r.outcomes = r.outcomes[:0]
	for i := range outcome.Dict.Len() {
		r.outcomes = append(r.outcomes, faultOf(0, outcome.Dict.At(i)))
	}
}

// answers tells how each row was answered, and how large the answer was.
func (r *Rows) answers(from, to int) {
	if codes := r.Batch.Column(tokenwatch.ColOutcome).Codes; codes != nil {
		for i, code := range codes[from:to] {
			r.Events[from+i].Fault = r.outcomes[code]
		}
	}
	if status := r.Batch.Column(tokenwatch.ColStatus); status.Ints != nil {
		for i, n := range status.Ints[from:to] {
			if n > 0 && status.Valid.At(from+i) {
				r.Events[from+i].Fault = faultOf(n, "")
			}
		}
	}
	if size := r.Batch.Column(tokenwatch.ColBytesOut); size.Ints != nil {
		for i, n := range size.Ints[from:to] {
			if n > 0 && size.Valid.At(from+i) {
				r.Events[from+i].Bytes = n
			}
		}
	}
}

// leads picks for each row the entity whose habits it belongs to, as Batch.Lead does
// for one.
func (r *Rows) leads(from, to int) {
	tokens, actors := r.Tokens.Codes, r.Actors.Codes
	for i := from; i < to; i++ {
		e := &r.Events[i]
		token := tokens != nil && tokens[i] != 0
		actor := actors != nil && actors[i] != 0
		switch {
		case token && !(actor && e.Passing):
			e.Lead = tokenwatch.EntityToken
		case actor:
			e.Lead = tokenwatch.EntityActor
		case r.Batch.Has(tokenwatch.ColSrcIP, i):
			e.Lead = tokenwatch.EntityAddress
		default:
			e.Lead = NoLead
		}
	}
}

// objects finds what each row's action was done to: its resource, or else the path it
// asked for where that path has an id in it.
func (r *Rows) objects(from, to int) {
	routes, path := r.Batch.Column(tokenwatch.ColRoute).Codes, r.Batch.Column(tokenwatch.ColPath)
	for i := from; i < to; i++ {
		e := &r.Events[i]
		e.Number = -1
		if r.resources.Codes != nil {
			e.Object = r.resources.Hashes[r.resources.Codes[i]]
		}
		if e.Object != 0 || routes == nil || !r.variable[routes[i]] {
			continue
		}
		text := textAt(path, i)
		if end := strings.IndexByte(text, '?'); end >= 0 {
			text = text[:end]
		}
		e.Object, e.Number = max(1, xxh3.HashStringSeed(text, r.seed[1])), numberIn(text)
	}
}

// textAt is Batch.Text of a column that is at hand.
func textAt(v *tokenwatch.Vector, i int) string {
	switch {
	case v.Codes != nil:
		return v.Dict.At(int(v.Codes[i]))
	case v.Text.Offsets != nil:
		return v.Text.At(i)
	default:
		return ""
	}
}

// numberIn returns the last segment of a path that is a number, -1 if none is.
func numberIn(path string) int64 {
	for end := len(path); end > 0; {
		start := strings.LastIndexByte(path[:end], '/')
		segment := path[start+1 : end]
		if n, ok := number(segment); ok {
			return n
		}
		end = max(start, 0)
	}
	return -1
}

func number(s string) (int64, bool) {
	if len(s) == 0 || len(s) > 15 {
		return 0, false
	}
	n := int64(0)
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
