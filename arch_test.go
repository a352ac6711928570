package tokenwatch_test

import (
	"go/build"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tokenwatch/tokenwatch"

// mayImport is the map of the house: which of our packages each package may
// import. An entry ending in /* means the packages below it. A new package must be put
// here; test files may import anything.
var mayImport = map[string][]string{
	".":                         {},
	"ingest":                    {".", "ingest/*"},
	"ingest/frame":              {},
	"ingest/format":             {".", "ingest/frame", "ingest/normalize"}, // a format says how its records are cut, and spells times
	"ingest/normalize":          {"."},
	"ingest/enrich":             {".", "ingest/normalize"}, // for the spelling of times
	"ingest/seal":               {"."},
	"ingest/shape":              {"."},
	"ingest/source":             {".", "proto/*"},
	"storage":                   {".", "storage/series"},
	"storage/series":            {"."},
	"storage/block":             {".", "storage/series"},
	"storage/history":           {"."},
	"storage/local":             {".", "storage", "storage/*", "engine/vec"},
	"storage/storagetest":       {".", "storage", "storage/*"},
	"storage/series/seriestest": {".", "storage/series"},
	"engine/vec":                {},
	"engine/feature":            {".", "engine/vec"},
	"engine/window":             {".", "engine/vec", "engine/feature"},
	"engine/baseline":           {".", "engine/vec", "engine/feature", "engine/window"},
	"engine/detect":             {".", "engine/vec", "engine/feature", "engine/window", "engine/baseline"},
	"engine/finding":            {".", "engine/vec", "engine/feature", "engine/window", "engine/baseline"},
	"engine/inventory":          {"."},
	"engine/policy":             {"."},
	"engine/sigma":              {"."},
	"engine/sources":            {},
	"engine/enginetest":         {".", "storage"},
	"engine":                    {".", "storage", "engine/*"},
	"engine/replay":             {".", "storage", "engine"},
	"engine/expr":               {".", "engine/vec"},
	"query/sql":                 {},
	"query":                     {".", "storage", "storage/history", "storage/series", "engine/expr", "query/sql"}, // leaves of the history are a table
	"query/promql":              {".", "storage", "storage/series"},
	"query/encode":              {".", "engine/expr", "query"},
	"query/querytest":           {".", "storage", "storage/series", "engine/expr", "query"},
	"proto":                     {},
	"proto/tokenwatch/v1":       {},
	"proto/google/api":          {},
	"api":                       {".", "storage", "api/*", "proto", "proto/*"},
	"api/v1":                    {".", "storage", "query", "query/*", "engine/expr", "proto/*", "api/filter", "api/notify"},
	"api/filter":                {},
	"api/plain":                 {},
	"api/plot":                  {"."},
	"api/notify":                {".", "storage", "api/plain"},
	"cmd/tokenwatch":            {".", "*"},
	"bench":                     {".", "*"},
	"bench/attacks":             {"."},
	"bench/crowdsec":            {"."},
	"bench/eval":                {"."},
	"bench/gen":                 {},
	"bench/nab":                 {".", "engine/*"},
}

// mayNotImport lists packages of others that only some of ours may import, each
// with its reason.
var mayNotImport = []struct {
	imports, reason string
	except          []string
}{
	{"github.com/cockroachdb/pebble/v2", "the key-value store is storage/local's secret", []string{"storage/local", "storage/storagetest"}},
	{"net/http", "engine and query are functions of stored data", outside("engine", "query")},
	{"net", "engine and query are functions of stored data", outside("engine", "query")},
	{"google.golang.org/grpc", "only api and sources speak to the network", []string{"api", "api/*", "ingest/source", "proto/*", "cmd/*", "bench", "bench/*"}},
	{"flag", "only commands read flags", []string{"cmd/*", "bench", "bench/*"}},
	{"os/exec", "nothing of ours runs programs", []string{"bench", "bench/*", "cmd/*"}},
}

// outside matches every package but those below the given ones.
func outside(dirs ...string) []string {
	var out []string
	for pkg := range mayImport {
		if !slices.ContainsFunc(dirs, func(d string) bool { return pkg == d || strings.HasPrefix(pkg, d+"/") }) {
			out = append(out, pkg)
		}
	}
	return out
}

func matches(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		below, ok := strings.CutSuffix(p, "*")
		return p == pkg || ok && strings.HasPrefix(pkg, below)
	})
}

func TestWhoMayImportWhom(t *testing.T) {
	seen := 0
	err := filepath.WalkDir(".", func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if name := d.Name(); dir != "." && (name == "testdata" || name == "tools" || strings.HasPrefix(name, ".")) {
			return fs.SkipDir
		}
		pkg, err := build.ImportDir(dir, 0)
		if err != nil {
			return nil // no Go files here
		}
		seen++
		at := filepath.ToSlash(dir)
		allowed, ok := mayImport[at]
		if !ok && len(pkg.GoFiles) > 0 {
			t.Errorf("package %s is not on the map: add it to mayImport", at)
		}
		for _, imp := range pkg.Imports {
			checkForeign(t, at, imp)
			ours, ok := strings.CutPrefix(imp, module)
			if !ok {
				continue
			}
			ours = path.Clean("./" + ours)
			if !matches(allowed, ours) {
				t.Errorf("%s imports %s", at, ours)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 10 {
		t.Fatalf("saw %d packages only: the test looks in the wrong place", seen)
	}
}

func checkForeign(t *testing.T, at, imp string) {
	for _, rule := range mayNotImport {
		if imp == rule.imports && !matches(rule.except, at) {
			t.Errorf("%s imports %s, but %s", at, imp, rule.reason)
		}
	}
}
