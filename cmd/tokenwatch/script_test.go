package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// canary stands for raw credentials: no output may hold it, nor any file of a
// store or of its keys.
const canary = "CANARY"

// TestScript runs the program as its users do. The commands of a file share a
// directory, $DIR, a clock that stands still and a source of randomness that
// begins anew:
//
//	file name=a.log         writes the input to $DIR/a.log; $ESC and $NUL are bytes
//	tw                      runs tokenwatch with each line's words as arguments;
//	                        cut=80 shortens lines, pick=(a,b) shows fields of JSON
//	terminal width=80       gives the program a terminal, none with 0
//	save name=KEY field=key runs the command and keeps a field of its JSON as $KEY
//	env name=X value=Y      sets a variable of the environment
//	rm path=keys            removes a file or folder below $DIR
//	chmod path=keys         lets others read it
//	canary                  searches all files below $DIR, but those of file
func TestScript(t *testing.T) {
	datadriven.Walk(t, filepath.FromSlash("../../testdata/script"), func(t *testing.T, path string) {
		s := newScript(t)
		datadriven.RunTest(t, path, s.run)
	})
}

type script struct {
	dir     string
	vars    map[string]string
	env     map[string]string
	written []string // by file
	width   int
	random  *lockedRandom
}

func newScript(t *testing.T) *script {
	dir := t.TempDir()
	demo, err := filepath.Abs("../../testdata/demo/aws-stratus-timeline.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	return &script{
		dir: dir, vars: map[string]string{"DIR": dir, "DEMO": demo, "ESC": "\x1b"},
		env: map[string]string{"XDG_CONFIG_HOME": filepath.Join(dir, "config")}, random: newRandom(),
	}
}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	var name, field, value string
	for _, a := range []struct {
		key string
		to  *string
	}{{"name", &name}, {"field", &field}, {"value", &value}, {"path", &name}} {
		if d.HasArg(a.key) {
			d.ScanArgs(t, a.key, a.to)
		}
	}
	switch d.Cmd {
	case "terminal":
		d.ScanArgs(t, "width", &s.width)
		return ""
	case "file":
		path := filepath.Join(s.dir, name)
		s.written = append(s.written, path)
		input := strings.NewReplacer("$ESC", "\x1b", "$NUL", "\x00", "$RTL", "\u202e", "$BAD", "\xff").Replace(d.Input)
		must(t, os.WriteFile(path, []byte(input+"\n"), 0o600))
		return ""
	case "env":
		s.env[name] = s.expand(value)
		return ""
	case "rm":
		must(t, os.RemoveAll(filepath.Join(s.dir, filepath.FromSlash(name))))
		return ""
	case "chmod":
		must(t, os.Chmod(filepath.Join(s.dir, filepath.FromSlash(name)), 0o755))
		return ""
	case "canary":
		return s.search(t)
	case "save":
		out, _, _ := s.execute(d.Input)
		var fields map[string]any
		must(t, json.Unmarshal([]byte(strings.SplitN(out, "\n", 2)[0]), &fields))
		s.vars[name] = fmt.Sprint(fields[field])
		return ""
	case "tw":
		var b strings.Builder
		for line := range strings.Lines(d.Input) {
			stdout, stderr, code := s.execute(strings.TrimSpace(line))
			b.WriteString(stdout)
			if stderr != "" {
				b.WriteString("-- stderr\n" + strings.TrimSuffix(stderr, "\n") + "\n")
			}
			if code != 0 {
				fmt.Fprintf(&b, "-- exit %d\n", code)
			}
		}
		if strings.Contains(b.String(), canary) {
			t.Errorf("%s: a credential was printed", d.Pos)
		}
		return s.shape(t, d, s.hide(b.String()))
	default:
		t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
		return ""
	}
}

// shape keeps of an output what the case is about.
func (s *script) shape(t *testing.T, d *datadriven.TestData, text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = strings.NewReplacer("\n", "", "\r", "$CR", "\x1b", "$ESC").Replace(line)
		if arg, ok := d.Arg("pick"); ok && strings.HasPrefix(line, "{") {
			var fields map[string]any
			must(t, json.Unmarshal([]byte(line), &fields))
			line = ""
			for _, name := range arg.Vals {
				b, err := json.Marshal(fields[name])
				must(t, err)
				line += string(b) + " "
			}
		}
		if d.HasArg("cut") {
			var width int
			d.ScanArgs(t, "cut", &width)
			line = cut(line, width)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

// execute runs one command line.
func (s *script) execute(line string) (stdout, stderr string, code int) {
	c, out, errs := s.console()
	code = run(context.Background(), s.words(line), c)
	return out.String(), errs.String(), code
}

// testTime is the wall clock of the tests.
var testTime = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func (s *script) console() (*console, *bytes.Buffer, *bytes.Buffer) {
	var out, errs bytes.Buffer
	return &console{
		stdin: strings.NewReader("no standard input in scripts\n"), stdout: &out, stderr: &errs,
		getenv: func(k string) string { return s.env[k] },
		now:    func() time.Time { return testTime }, random: s.random,
		outWidth: s.width, errWidth: s.width, colour: s.width > 0,
	}, &out, &errs
}

// words splits a line at spaces, but for those between single quotes.
func (s *script) words(line string) []string {
	var words []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, s.expand(part))
			continue
		}
		for _, w := range strings.Fields(part) {
			words = append(words, s.expand(w))
		}
	}
	return words
}

func (s *script) expand(text string) string {
	for _, k := range s.names() {
		text = strings.ReplaceAll(text, "$"+k, s.vars[k])
	}
	return text
}

// hide puts the names of variables where their values are.
func (s *script) hide(text string) string {
	for _, k := range s.names() {
		if s.vars[k] != "" {
			text = strings.ReplaceAll(text, s.vars[k], "$"+k)
		}
	}
	return text
}

// names are the variables, longest value first.
func (s *script) names() []string {
	names := sortedKeys(s.vars)
	slices.SortStableFunc(names, func(a, b string) int { return len(s.vars[b]) - len(s.vars[a]) })
	return names
}

// search looks for the canary in whatever the program has written.
func (s *script) search(t *testing.T) string {
	files := 0
	must(t, filepath.WalkDir(s.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || slices.Contains(s.written, path) || e.Name() == "ballast" {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(canary)) {
			t.Errorf("%s holds a credential", path)
		}
		return err
	}))
	if files == 0 {
		t.Error("there is no file to search")
	}
	return ""
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lockedRandom is the same bytes in every run.
type lockedRandom struct {
	mu sync.Mutex
	r  *rand.ChaCha8
}

func newRandom() *lockedRandom { return &lockedRandom{r: rand.NewChaCha8([32]byte{1})} }

func (l *lockedRandom) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.Read(p)
}
