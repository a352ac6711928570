package source

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// markedLog is a pipeline that keeps lines and marks in one write, as the store
// does. It can die: then the next deliveries fail, before or after the write.
type markedLog struct {
	lines []string
	marks map[string]int64
	die   func() (before, after bool)
}

var errKilled = errors.New("killed")

func (m *markedLog) Ingest(_ context.Context, d Delivery) (Answer, error) {
	b, err := io.ReadAll(d.Body)
	if err != nil {
		return Answer{}, err
	}
	before, after := m.die()
	if before {
		return Answer{}, errKilled
	}
	for line := range strings.Lines(string(b)) {
		m.lines = append(m.lines, strings.TrimSuffix(line, "\n"))
	}
	m.marks[d.Mark.Input] = d.Mark.Offset
	if after {
		return Answer{}, errKilled
	}
	return Answer{}, nil
}

func (m *markedLog) Mark(_ context.Context, _, _, input string) (int64, error) {
	return m.marks[input], nil
}

// rotation is one way of rotating a file; the reader may look in between.
type rotation func(t *testing.T, path string, look func())

var rotations = map[string]rotation{
	"rename": func(t *testing.T, path string, look func()) {
		old := fmt.Sprintf("%s.%d", path, len(glob(t, path+".*"))+1)
		must(t, os.Rename(path, old))
		look()
	},
	"rename, written on for a while": func(t *testing.T, path string, look func()) {
		old := fmt.Sprintf("%s.%d", path, len(glob(t, path+".*"))+1)
		must(t, os.Rename(path, old))
		look()
		appendText(t, old, "late in "+filepath.Base(old)+"\n")
	},
	"copytruncate": func(t *testing.T, path string, look func()) {
		look() // what is written between the last look and the truncation is lost to every reader
		b, err := os.ReadFile(path)
		must(t, err)
		must(t, os.WriteFile(fmt.Sprintf("%s.%d.gz", path, len(b)), b, 0o600))
		must(t, os.Truncate(path, 0))
	},
	"delete and recreate": func(t *testing.T, path string, look func()) {
		look()
		must(t, os.Remove(path))
	},
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	must(t, err)
	return names
}

func appendText(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	must(t, err)
	_, err = f.WriteString(text)
	must(t, errors.Join(err, f.Close()))
}

var rotated = flag.Int("rotations", 50, "how many rotations of each kind TestTailRotations tries")

// TestTailRotations: over many rotations of each kind, with the reader killed at
// random before and after a write, every line is stored exactly once.
func TestTailRotations(t *testing.T) {
	for name, rotate := range rotations {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			path := filepath.Join(t.TempDir(), "app.log")
			kills := 0
			log := &markedLog{marks: map[string]int64{}}
			log.die = func() (bool, bool) {
				n := random.IntN(8)
				if n < 2 {
					kills++
				}
				return n == 0, n == 1
			}
			var reader *Tail
			start := func() {
				if reader != nil {
					reader.close()
				}
				reader = &Tail{Patterns: []string{path + "*"}, To: log, Marks: log, Source: "app", Chunk: 256}
				reader.fill()
			}
			start()
			look := func() { // until there is nothing more, over as many kills as it takes
				for more := true; more; {
					var err error
					if more, err = reader.look(t.Context()); err != nil {
						if !errors.Is(err, errKilled) {
							t.Fatal(err)
						}
						start()
						more = true
					}
				}
			}
			var want []string
			for round := range *rotated {
				lines := 1 + random.IntN(20)
				for i := range lines {
					line := fmt.Sprintf("round %d line %d %s", round, i, strings.Repeat("x", random.IntN(40)))
					want = append(want, line)
					if cut := random.IntN(len(line)); random.IntN(3) == 0 { // in two writes, with a look between
						appendText(t, path, line[:cut])
						look()
						appendText(t, path, line[cut:]+"\n")
					} else {
						appendText(t, path, line+"\n")
					}
					if random.IntN(4) == 0 {
						look()
					}
				}
				rotate(t, path, look)
			}
			look()
			got := slices.DeleteFunc(slices.Clone(log.lines), func(l string) bool { return strings.HasPrefix(l, "late in ") })
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Fatalf("%d lines are stored of %d", len(got), len(want))
			}
			if late := len(log.lines) - len(got); strings.Contains(name, "written on") && late != *rotated {
				t.Errorf("%d of %d late lines are stored", late, *rotated)
			}
			t.Logf("%d rotations, %d lines, %d kills: 0 lost, 0 twice", *rotated, len(want), kills)
		})
	}
}

// TestTailRest: a file that has lost its name is read to its end, with a last line
// that has no break, and then closed.
func TestTailRest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	log := &markedLog{marks: map[string]int64{}, die: func() (bool, bool) { return false, false }}
	reader := &Tail{Patterns: []string{path}, To: log, Marks: log, Source: "app"}
	reader.fill()
	defer reader.close()
	appendText(t, path, "one\ntwo")
	if _, err := reader.look(t.Context()); err != nil || len(log.lines) != 1 {
		t.Fatal(log.lines, err)
	}
	must(t, os.Remove(path))
	for range restAfter + 1 {
		if _, err := reader.look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(reader.files) != 0 || !slices.Equal(log.lines, []string{"one", "two"}) {
		t.Errorf("%d files are open, %q is stored", len(reader.files), log.lines)
	}
}

// TestTailWaits: what the pipeline refuses for the time being is handed on again.
func TestTailWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	appendText(t, path, "one\n")
	k := &keeper{busy: 1}
	reader := &Tail{Patterns: []string{path}, To: k, Marks: &markedLog{}, Source: "app"}
	reader.fill()
	defer reader.close()
	if _, err := reader.look(t.Context()); err != nil || !slices.Equal(k.lines, []string{"one"}) {
		t.Error(k.lines, err)
	}
}

// TestTailLongLine: a line longer than a chunk does not pass for several records.
func TestTailLongLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	appendText(t, path, "one\n"+strings.Repeat("x", 1000)+"\ntwo\n")
	log := &markedLog{marks: map[string]int64{}, die: func() (bool, bool) { return false, false }}
	reader := &Tail{Patterns: []string{path}, To: log, Marks: log, Source: "app", Chunk: 256}
	reader.fill()
	defer reader.close()
	for more := true; more; {
		var err error
		if more, err = reader.look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(log.lines) != 3 || log.lines[0] != "one" || len(log.lines[1]) != 256 || log.lines[2] != "two" {
		t.Errorf("%d records", len(log.lines))
	}
}
