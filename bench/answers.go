package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// answers are the right answers to all questions, found by going through the lines
// of the workload one by one, and kept beside it.
type answers struct {
	Form    int               `json:"form"`    // of this file
	Digests map[string]string `json:"digests"` // by name of the question
	Tokens  []string          `json:"tokens"`  // that occur in them
}

// answersForm goes up when the questions or what is right change.
const answersForm = 1

func (a *answers) tokens() []string { return a.Tokens }

func (a *answers) right(name, digest string) *bool {
	want, known := a.Digests[name]
	if !known {
		return nil
	}
	ok := digest == want
	return &ok
}

// event is one line of the workload; its texts lie in the line.
type event struct {
	time, token, addr, method, host, path, id []byte
	status                                    string
	bytes, ms                                 int
}

// readEvent takes a line of bench/gen apart, which has its fields in one order and
// escapes nothing in those that are read here.
func readEvent(line []byte, e *event) error {
	ok := true
	text := func(name string) []byte {
		at := bytes.Index(line, []byte(`"`+name+`":"`))
		if at < 0 {
			ok = false
			return nil
		}
		line = line[at+len(name)+4:]
		end := bytes.IndexByte(line, '"')
		if end < 0 {
			ok = false
			return nil
		}
		return line[:end]
	}
	number := func(name string) []byte {
		at := bytes.Index(line, []byte(`"`+name+`":`))
		if at < 0 {
			ok = false
			return nil
		}
		line = line[at+len(name)+3:]
		return line[:bytes.IndexAny(line, ",}")]
	}
	e.time, e.token, e.addr = text("time"), text("token"), text("src_ip")
	e.method, e.host, e.path = text("method"), text("host"), text("path")
	e.status = string(number("status"))
	var err1, err2 error
	e.bytes, err1 = strconv.Atoi(string(number("bytes_out")))
	e.ms, err2 = strconv.Atoi(string(number("duration_ms")))
	e.id = text("request_id")
	if !ok || err1 != nil || err2 != nil {
		return fmt.Errorf("a line of the workload is not as bench/gen writes it")
	}
	return nil
}

// tally gathers the answers to Q1 to Q8 under one filter.
type tally struct {
	more      filter
	statuses  map[string]int
	newest    [][2]string // time and request id, of the token of Q2
	tokens    map[string]int
	minutes   map[string]int
	addresses map[string]map[string]struct{}
	sub       int
	durations map[[2]string][]int
	faults    int
}

func newTally(more filter) *tally {
	return &tally{
		more: more, statuses: map[string]int{}, tokens: map[string]int{}, minutes: map[string]int{},
		addresses: map[string]map[string]struct{}{}, durations: map[[2]string][]int{},
	}
}

func (t *tally) take(f *facts, e *event) {
	t.statuses[e.status]++
	token := string(e.token)
	t.tokens[token]++
	switch token {
	case f.Token2:
		t.newest = append(t.newest, [2]string{string(e.time), string(e.id)})
	case f.Token4:
		t.minutes[string(e.time[:len("2006-01-02T15:04")])]++
	}
	of := t.addresses[token]
	if of == nil {
		of = map[string]struct{}{}
		t.addresses[token] = of
	}
	if _, ok := of[string(e.addr)]; !ok {
		of[string(e.addr)] = struct{}{}
	}
	if bytes.Contains(e.path, []byte(f.Sub)) {
		t.sub++
	}
	key := [2]string{string(e.host), string(e.method)}
	t.durations[key] = append(t.durations[key], e.ms)
	if len(e.status) == 3 && e.status >= "500" && string(e.time) >= inMillis(f.From8) && string(e.time) < inMillis(f.To8) {
		t.faults++
	}
}

// inMillis writes a time of whole seconds as those of events are written: times of one
// length and in one zone are in the order of their texts.
func inMillis(s string) string { return strings.TrimSuffix(s, "Z") + ".000Z" }

// rows are the answers as a system would give them.
func (t *tally) rows(kind int) [][]string {
	var out [][]string
	counts := func(m map[string]int) {
		for k, n := range m {
			out = append(out, []string{k, strconv.Itoa(n)})
		}
	}
	most := func(m map[string]int) {
		counts(m)
		slices.SortFunc(out, func(a, b []string) int {
			return strings.Compare(fmt.Sprintf("%9s", b[1]), fmt.Sprintf("%9s", a[1]))
		})
		out = out[:min(10, len(out))]
	}
	switch kind {
	case 1:
		counts(t.statuses)
	case 2:
		slices.SortFunc(t.newest, func(a, b [2]string) int { return strings.Compare(b[0], a[0]) })
		for _, e := range t.newest[:min(100, len(t.newest))] {
			out = append(out, []string{e[1]})
		}
	case 3:
		most(t.tokens)
	case 4:
		counts(t.minutes)
	case 5:
		distinct := map[string]int{}
		for token, of := range t.addresses {
			distinct[token] = len(of)
		}
		most(distinct)
	case 6:
		out = [][]string{{strconv.Itoa(t.sub)}}
	case 7:
		for key, ms := range t.durations {
			slices.Sort(ms)
			at := int(math.Ceil(0.99*float64(len(ms)))) - 1
			out = append(out, []string{key[0], key[1], strconv.Itoa(ms[at])})
		}
	case 8:
		out = [][]string{{strconv.Itoa(t.faults)}}
	}
	return out
}

// rightAnswers finds the answers for a workload, or reads those found before.
func rightAnswers(day string, f facts) (*answers, error) {
	kept := filepath.Join(filepath.Dir(day), "answers.json")
	out := &answers{}
	if b, err := os.ReadFile(kept); err == nil && json.Unmarshal(b, out) == nil && len(out.Digests) == 8*len(filters) && out.Form == answersForm {
		return out, nil
	}
	file, err := os.Open(day)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all []*tally
	for _, more := range filters {
		all = append(all, newTally(more))
	}
	lines := bufio.NewReaderSize(file, 1<<20)
	for {
		line, err := lines.ReadSlice('\n')
		if err == io.EOF {
			break
		}
		var e event
		if err == nil {
			err = readEvent(line, &e)
		}
		if err != nil {
			return nil, err
		}
		for _, t := range all {
			if t.more.holds(&e) {
				t.take(&f, &e)
			}
		}
	}
	out = &answers{Form: answersForm, Digests: map[string]string{}}
	for _, q := range questions(f, tokenwatchSQL) {
		for _, t := range all {
			if t.more.name != q.more.name {
				continue
			}
			rows := t.rows(q.kind)
			if q.kind == 3 {
				for _, r := range rows {
					out.Tokens = append(out.Tokens, r[0])
				}
			}
			a, err := shape(q.kind, rows)
			if err != nil {
				return nil, err
			}
			out.Digests[q.name] = digest(a)
		}
	}
	slices.Sort(out.Tokens)
	out.Tokens = slices.Compact(out.Tokens)
	b, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	return out, os.WriteFile(kept, b, 0o644)
}
