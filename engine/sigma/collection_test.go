package sigma

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// dataDir is the folder of collected inputs, "" where there is none.
func dataDir() string {
	dir := os.Getenv("TOKENWATCH_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	if _, err := os.Stat(dir); err != nil {
		return ""
	}
	return dir
}

// TestCollection loads the rules of SigmaHQ where they are at hand: all parse, and
// those about logs that are read compile.
func TestCollection(t *testing.T) {
	dir := dataDir()
	if dir == "" {
		t.Log("no collected rules here: nothing to load")
		return
	}
	var l Loader
	files := 0
	must(t, filepath.WalkDir(filepath.Join(dir, "sigma-rules"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".yml") {
			return err
		}
		b, err := os.ReadFile(path)
		files++
		l.Load(strings.TrimPrefix(path, dir), b)
		return err
	}))
	pack := l.Compile()
	reasons := map[string]int{}
	for _, p := range pack.Problems {
		reasons[p.Reason]++
	}
	var names []string
	for r, n := range reasons {
		names = append(names, strings.Join([]string{r}, "")+" ×"+itoa(n))
	}
	slices.Sort(names)
	t.Logf("%d files: %d rules run, %d problems:\n%s", files, len(pack.Rules), len(pack.Problems), strings.Join(names, "\n"))
	for _, p := range pack.Problems {
		if !strings.Contains(p.Reason, "are not read here") && !strings.Contains(p.Reason, "placeholder") && !strings.Contains(p.Reason, "behind |") {
			t.Error(p)
		}
	}
}
