package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tokenwatch/tokenwatch"
)

// keyedPipeline stores bodies by key, as the log does.
type keyedPipeline struct {
	bodies map[string]string
	order  []string
	lines  int
	marks  []tokenwatch.Mark
	err    error
}

func (k *keyedPipeline) Ingest(_ context.Context, d Delivery) (Answer, error) {
	if k.err != nil {
		return Answer{}, k.err
	}
	b, err := io.ReadAll(d.Body)
	if err != nil {
		return Answer{}, err
	}
	a := Answer{Format: "combined", Accepted: bytes.Count(b, []byte("\n"))}
	if !bytes.HasSuffix(b, []byte("\n")) {
		a.Accepted++
	}
	if old, ok := k.bodies[d.Key]; ok {
		if old != string(b) {
			return Answer{}, &tokenwatch.Refusal{Reason: tokenwatch.RefusedConflict}
		}
		a.Duplicate = true
		return a, nil
	}
	k.bodies[d.Key] = string(b)
	k.order = append(k.order, d.Key)
	k.marks = append(k.marks, *d.Mark)
	k.lines += a.Accepted
	return a, nil
}

func (k *keyedPipeline) all() string {
	var all strings.Builder
	for _, key := range k.order {
		all.WriteString(k.bodies[key])
	}
	return all.String()
}

// oneByte reads a byte at a time, as a slow file system might.
type oneByte struct{ r io.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(1, len(p))]) }

// fakeSplitter yields the words of a body; "long" is a record it cannot yield.
type fakeSplitter struct {
	words  []string
	offset int64
}

func newFakeSplitter(r io.Reader) Splitter {
	b, err := io.ReadAll(r)
	if err != nil {
		panic(err)
	}
	return &fakeSplitter{words: strings.Fields(strings.Trim(string(b), "[]"))}
}

func (f *fakeSplitter) Next() ([]byte, int64, error) {
	if len(f.words) == 0 {
		return nil, 0, io.EOF
	}
	word, at := f.words[0], f.offset
	f.words, f.offset = f.words[1:], f.offset+int64(len(word))+1
	if word == "long" {
		return nil, at, &tokenwatch.Rejection{Reason: tokenwatch.ReasonLineTooLong}
	}
	return []byte(word), at, nil
}

func writeFile(t *testing.T, name string, b []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func someLines(seed int64, n int) []byte {
	random := rand.New(rand.NewSource(seed))
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "line %d %s\n", i, strings.Repeat("x", random.Intn(200)))
	}
	return b.Bytes()
}

// TestFilesOnce: whatever the name, the compression and the size of reads, the
// same content adds nothing the second time, and nothing is lost or changed.
func TestFilesOnce(t *testing.T) {
	dir := t.TempDir()
	lines := someLines(1, 500)
	plain := writeFile(t, filepath.Join(dir, "a.log"), lines)
	zipped := writeFile(t, filepath.Join(dir, "b.gz"), compress(t, "gzip", lines))
	zstd := writeFile(t, filepath.Join(dir, "c"), compress(t, "zstd", lines))
	k := &keyedPipeline{bodies: map[string]string{}}
	var progress []Progress
	files := Files{To: k, Source: "web", Format: FormatAuto, Chunk: 4096, Stdin: oneByte{bytes.NewReader(lines)},
		Progress: func(p Progress) { progress = append(progress, p) }}
	s, err := files.Run(t.Context(), []string{plain, zipped, zstd, Stdin})
	if err != nil {
		t.Fatal(err)
	}
	if k.all() != string(lines) {
		t.Error("what was taken in is not what the file holds")
	}
	if s.Accepted != 500 || s.Duplicate != 1500 || s.Rejected != 0 {
		t.Errorf("accepted %d, duplicate %d, rejected %d", s.Accepted, s.Duplicate, s.Rejected)
	}
	if len(k.order) < 10 || len(progress) != 4*len(k.order) {
		t.Errorf("%d chunks, %d calls of Progress", len(k.order), len(progress))
	}
	if last := progress[len(progress)-1]; last.Bytes != s.Bytes || s.Total+int64(len(lines)) != s.Bytes || last.Files != 4 {
		t.Errorf("progress ends with %+v", last)
	}
	if end := k.marks[len(k.marks)-1]; end.Input != plain || end.Offset != int64(len(lines)) {
		t.Errorf("last mark %+v", end)
	}
}

// TestFileGrows: of a file that has grown, only its last chunk comes again.
func TestFileGrows(t *testing.T) {
	dir := t.TempDir()
	k := &keyedPipeline{bodies: map[string]string{}}
	files := Files{To: k, Chunk: 4096}
	name := filepath.Join(dir, "a.log")
	lines := someLines(2, 500)
	half := bytes.LastIndexByte(lines[:len(lines)/2], '\n') + 1
	if _, err := files.Run(t.Context(), []string{writeFile(t, name, lines[:half])}); err != nil {
		t.Fatal(err)
	}
	before := k.lines
	s, err := files.Run(t.Context(), []string{writeFile(t, name, lines)})
	if err != nil {
		t.Fatal(err)
	}
	if again := before - s.Duplicate; again <= 0 || again > 4096/7 {
		t.Errorf("%d of %d records came again", again, before)
	}
}

// TestLineLongerThanChunk: the rest of a line longer than a chunk must not pass
// for records of its own.
func TestLineLongerThanChunk(t *testing.T) {
	content := "first\n" + strings.Repeat("z", 300) + " forged\nlast\n"
	for chunkSize := 8; chunkSize < 400; chunkSize += 3 {
		k := &keyedPipeline{bodies: map[string]string{}}
		files := Files{To: k, Chunk: chunkSize, Stdin: strings.NewReader(content)}
		if _, err := files.Run(t.Context(), []string{Stdin}); err != nil {
			t.Fatal(err)
		}
		for _, key := range k.order {
			for line := range strings.Lines(k.bodies[key]) {
				if line = strings.TrimSuffix(line, "\n"); line != "first" && line != "last" && !strings.HasPrefix(line, "zzz") {
					t.Fatalf("chunks of %d: a record of %d bytes was made up", chunkSize, len(line))
				}
			}
		}
		if all := k.all(); !strings.HasPrefix(all, "first\n") || !strings.HasSuffix(all, "last\n") {
			t.Errorf("chunks of %d: a neighbour is missing", chunkSize)
		}
	}
}

// TestFilesByRecord: JSON arrays are cut between their elements.
func TestFilesByRecord(t *testing.T) {
	words := strings.Fields(strings.Repeat("alpha beta gamma delta long ", 40))
	content := "[" + strings.Join(words, " ") + "]"
	k := &keyedPipeline{bodies: map[string]string{}}
	files := Files{To: k, Split: newFakeSplitter, Chunk: 64, Stdin: strings.NewReader(content)}
	s, err := files.Run(t.Context(), []string{Stdin})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, key := range k.order {
		if len(k.bodies[key]) > 64 {
			t.Errorf("a chunk of %d bytes", len(k.bodies[key]))
		}
		got = append(got, strings.Fields(k.bodies[key])...)
	}
	want := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "long" })
	if !slices.Equal(got, want) {
		t.Errorf("got %d records, want %d in order", len(got), len(want))
	}
	if s.Reasons[tokenwatch.ReasonLineTooLong] != 40 || s.Rejected != 40 {
		t.Errorf("rejects %d, %v", s.Rejected, s.Reasons)
	}
	files.Stdin = strings.NewReader(content)
	if s, err = files.Run(t.Context(), []string{Stdin}); err != nil || s.Accepted != 0 {
		t.Errorf("the second time %d records were added, error %v", s.Accepted, err)
	}
}

// TestByRecord: which files are cut by records.
func TestByRecord(t *testing.T) {
	for content, want := range map[string]bool{
		"":                                      false,
		"1.2.3.4 - - [x]\n":                     false,
		"\n\n[{\"a\":1}]":                       true,
		"\ufeff[":                               true,
		`{"a":1}` + "\n" + `{"a":2}`:            false,
		`{"a":1}`:                               false,
		`{"Records":[{"a":1}]}`:                 true,
		"{ \"Records\" :\n [{\"a\":1}]}":        true,
		"{\n  \"a\": 1\n}\n{\n  \"a\": 2\n}\n":  true,
		`{"a":"` + strings.Repeat("x", 100<<10): true, // its first line does not end in sight
	} {
		k := &keyedPipeline{bodies: map[string]string{}}
		split := false
		files := Files{To: k, Stdin: strings.NewReader(content), Split: func(r io.Reader) Splitter {
			split = true
			return newFakeSplitter(r)
		}}
		if _, err := files.Run(t.Context(), []string{Stdin}); err != nil {
			t.Fatal(err)
		}
		if split != want {
			t.Errorf("%.20q…: cut by records %v, want %v", content, split, want)
		}
	}
}

// TestFilesEnd: what ends a run, and what it says then.
func TestFilesEnd(t *testing.T) {
	dir := t.TempDir()
	good := writeFile(t, filepath.Join(dir, "good"), someLines(3, 10))
	cut := compress(t, "gzip", someLines(4, 1000))
	broken := writeFile(t, filepath.Join(dir, "broken.gz"), cut[:len(cut)/2])
	k := &keyedPipeline{bodies: map[string]string{}}
	files := Files{To: k, Chunk: 1024}
	s, err := files.Run(t.Context(), []string{good, broken})
	var refusal *tokenwatch.Refusal
	if !errors.As(err, &refusal) || refusal.Reason != tokenwatch.RefusedBody || s.Done != 1 || s.Accepted < 10 {
		t.Errorf("a damaged file: %v after %+v", err, s.Progress)
	}
	if _, err := files.Run(t.Context(), []string{filepath.Join(dir, "absent")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an absent file: %v", err)
	}
	k.err = &tokenwatch.Refusal{Reason: tokenwatch.RefusedAllRejected}
	if _, err := files.Run(t.Context(), []string{good}); err != nil {
		t.Errorf("a file of nothing but rejects: %v", err)
	}
	k.err = &tokenwatch.Refusal{Reason: tokenwatch.RefusedUnavailable}
	if _, err := files.Run(t.Context(), []string{good}); err == nil {
		t.Error("a refused chunk passed for taken in")
	}
}

// TestExpandNames: folders, patterns and files, in order and once each.
func TestExpandNames(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.log", "a.log", "sub/c.log", ".hidden", ".git/x", "odd[1].log"} {
		writeFile(t, filepath.Join(dir, name), []byte("x"))
	}
	in := func(names ...string) []string {
		for i, n := range names {
			if n != Stdin {
				names[i] = filepath.Join(dir, n)
			}
		}
		return names
	}
	for _, test := range []struct{ args, want []string }{
		{in(""), in("a.log", "b.log", "odd[1].log", "sub/c.log")},
		{in("?.log", "a.log"), in("a.log", "b.log")},
		{in("sub", Stdin, ".hidden"), in("sub/c.log", Stdin, ".hidden")},
		{in("odd[1].log"), in("odd[1].log")},
	} {
		got, err := ExpandNames(test.args)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%v: %v, %v; want %v", test.args, got, err, test.want)
		}
	}
	for _, args := range [][]string{in("absent"), in("*.absent"), {t.TempDir()}} {
		if got, err := ExpandNames(args); err == nil {
			t.Errorf("%v: %v, want an error", args, got)
		}
	}
}

// FuzzChunks: every line that fits into a chunk arrives whole, once and in
// order; of a longer one nothing passes for a line but its beginning.
func FuzzChunks(f *testing.F) {
	f.Add([]byte("a\nbb\n\nccc"), uint8(4))
	f.Add([]byte("aaaaaaaaaa\nb\n"), uint8(3))
	f.Add([]byte("\n\n\n"), uint8(1))
	f.Fuzz(func(t *testing.T, content []byte, n uint8) {
		size := int(n) + 1
		var want [][]byte
		for line := range bytes.Lines(content) {
			if len(line) <= size {
				want = append(want, line)
			} else {
				want = append(want, nil) // its beginning, whatever it is
			}
		}
		c := lineChunker{r: oneByte{bytes.NewReader(content)}, buf: make([]byte, size)}
		for {
			got, err := c.next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.bytes, content[got.offset:got.end]) {
				t.Fatal("a chunk is not where it says")
			}
			for line := range bytes.Lines(got.bytes) {
				if len(want) == 0 || want[0] != nil && !bytes.Equal(line, want[0]) {
					t.Fatalf("unexpected line at chunk %d", got.offset)
				}
				want = want[1:]
			}
		}
		if len(want) != 0 {
			t.Fatalf("%d lines are missing", len(want))
		}
	})
}
