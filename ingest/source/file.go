package source

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tokenwatch/tokenwatch"
)

// Stdin is the name that stands for standard input among file names.
const Stdin = "-"

// Files takes files into the log: plain, .gz or .zst, told by their first bytes.
//
// Each file goes in as chunks of whole records, each with an idempotency key
// made of its content and its place in the expanded file. So the same file taken
// in again under the same source adds nothing, whatever its name and compression.
// Of a file that has grown since, the last chunk of before is new to the log.
type Files struct {
	To        Pipeline
	Split     func(io.Reader) Splitter // opens files that are not made of lines
	Stdin     io.Reader                // what Stdin stands for
	Tenant    string
	Principal string
	Source    string
	Format    string
	Chunk     int            // bytes of a chunk at most; default 4 MiB
	Progress  func(Progress) // called after every chunk; may be nil
}

// Progress says how far Files has got.
type Progress struct {
	File      string // the current one
	Done      int    // files finished
	Files     int    // files in all
	Bytes     int64  // read, as they are on disk
	Total     int64  // bytes in all; standard input counts as nothing
	Accepted  int    // records stored
	Duplicate int    // records stored before
	Rejected  int    // records that could not be stored
	Format    string // of the last chunk
}

// Summary is what became of all files.
type Summary struct {
	Progress
	Reasons map[string]int // rejects by reason
	Formats map[string]int // chunks by the format they were read as
}

// Run takes in the named files one after the other. A record that cannot be
// stored is counted; anything else that goes wrong ends it, with the summary of
// what is durable by then.
func (f *Files) Run(ctx context.Context, names []string) (Summary, error) {
	s := Summary{Reasons: map[string]int{}, Formats: map[string]int{}}
	s.Files = len(names)
	for _, name := range names {
		if info, err := os.Stat(name); name != Stdin && err == nil {
			s.Total += info.Size()
		}
	}
	for _, name := range names {
		s.File = name
		if err := f.file(ctx, name, &s); err != nil {
			return s, fmt.Errorf("ingest %s: %w", name, err)
		}
		s.Done++
	}
	return s, nil
}

func (f *Files) file(ctx context.Context, name string, s *Summary) error {
	file, err := f.open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	plain, closePlain, err := Expand(&counter{file, &s.Bytes})
	if err != nil {
		return err
	}
	defer closePlain()
	chunks, err := f.chunks(plain, s)
	if err != nil {
		return err
	}
	for {
		c, err := chunks.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := f.send(ctx, name, c, s); err != nil {
			return err
		}
		if f.Progress != nil {
			f.Progress(s.Progress)
		}
	}
}

func (f *Files) open(name string) (io.ReadCloser, error) {
	if name == Stdin {
		return io.NopCloser(f.Stdin), nil
	}
	return os.Open(name)
}

func (f *Files) chunks(plain io.Reader, s *Summary) (chunker, error) {
	size := f.Chunk
	if size <= 0 {
		size = 4 << 20
	}
	r := bufio.NewReaderSize(plain, 64<<10)
	records, err := byRecord(r)
	if err != nil {
		return nil, err
	}
	if !records {
		return &lineChunker{r: r, buf: make([]byte, size)}, nil
	}
	return &recordChunker{split: f.Split(r), size: size, lost: func(_ int64, r *tokenwatch.Rejection) {
		s.Rejected++
		s.Reasons[r.Reason]++
	}}, nil
}

// send hands one chunk on and adds up what became of it.
func (f *Files) send(ctx context.Context, name string, c chunk, s *Summary) error {
	answer, err := f.To.Ingest(ctx, Delivery{
		Tenant:    f.Tenant,
		Principal: f.Principal,
		Source:    f.Source,
		Format:    f.Format,
		Key:       chunkKey(c),
		Body:      bytes.NewReader(c.bytes),
		Mark:      &tokenwatch.Mark{Input: name, Offset: c.end},
	})
	refusal := (*tokenwatch.Refusal)(nil)
	if errors.As(err, &refusal) && refusal.Reason == tokenwatch.RefusedAllRejected {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("chunk at offset %d: %w", c.offset, err)
	}
	if answer.Duplicate {
		s.Duplicate += answer.Accepted
	} else {
		s.Accepted += answer.Accepted
	}
	s.Rejected += answer.RejectedTotal
	for reason, n := range answer.Reasons {
		s.Reasons[reason] += n
	}
	if answer.Format != "" {
		s.Formats[answer.Format]++
		s.Format = answer.Format
	}
	return nil
}

// chunkKey names a chunk by its place and content.
func chunkKey(c chunk) string {
	digest := sha256.Sum256(c.bytes)
	return "file-" + strconv.FormatInt(c.offset, 10) + "-" + hex.EncodeToString(digest[:16])
}

// Expand returns the plain bytes of a file that may be gzip or zstd, and a
// function to call after use.
func Expand(r io.Reader) (io.Reader, func(), error) {
	plain, _, err := expand(bufio.NewReaderSize(r, 64<<10), "", nil)
	if err != nil {
		return nil, nil, err
	}
	return plain, func() { plain.Close() }, nil
}

type counter struct {
	r io.Reader
	n *int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	*c.n += int64(n)
	return n, err
}

// ExpandNames turns what a user wrote into file names: a folder stands for all
// files in and below it but hidden ones, a pattern for what it matches. Each
// argument's files come in order of name, no file twice.
func ExpandNames(args []string) ([]string, error) {
	var names []string
	for _, arg := range args {
		found, err := expandName(arg)
		if err != nil {
			return nil, fmt.Errorf("find files of %s: %w", arg, err)
		}
		for _, name := range found {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

func expandName(arg string) ([]string, error) {
	if arg == Stdin {
		return []string{arg}, nil
	}
	info, err := os.Stat(arg)
	if errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(arg, "*?[") {
		matches, err := filepath.Glob(arg)
		if err == nil && len(matches) == 0 {
			err = fs.ErrNotExist
		}
		return matches, err
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{arg}, nil
	}
	var names []string
	err = filepath.WalkDir(arg, func(path string, d fs.DirEntry, err error) error {
		hidden := path != arg && strings.HasPrefix(d.Name(), ".")
		switch {
		case err != nil:
			return err
		case hidden && d.IsDir():
			return fs.SkipDir
		case !hidden && d.Type().IsRegular():
			names = append(names, path)
		}
		return nil
	})
	if err == nil && len(names) == 0 {
		err = fs.ErrNotExist
	}
	return names, err
}
