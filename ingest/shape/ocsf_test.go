package shape

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/format"
)

// corpus are the inputs of all formats' golden cases, by format.
func corpus(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, f := range format.All {
		files, err := filepath.Glob("../../testdata/format/" + f.Name + "/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, block := range strings.Split(string(text), "\n\n") {
				for strings.HasPrefix(block, "#") {
					_, block, _ = strings.Cut(block, "\n")
				}
				if in, ok := strings.CutPrefix(block, "parse\n"); ok {
					in, _, _ = strings.Cut(in, "\n----")
					out[f.Name] = append(out[f.Name], in)
				}
			}
		}
	}
	return out
}

// required are the attributes that the schema demands of every event, and what
// the classes demand besides.
var required = map[int][]string{
	0:    {"class_uid", "category_uid", "activity_id", "type_uid", "severity_id", "time", "metadata"},
	3001: {"user"}, 3002: {"user", "service"}, 3004: {"entity"}, 4002: {"http_request"}, 6003: {"actor", "api", "src_endpoint"},
}

// TestOCSF: of every row of every format's golden cases the document has what
// OCSF demands, and its numbers agree.
func TestOCSF(t *testing.T) {
	seen := map[int]int{}
	for name, bodies := range corpus(t) {
		for _, body := range bodies {
			b, _ := sealed(t, name, body)
			if b == nil {
				continue
			}
			for i := range b.Rows() {
				d := OCSF(b, i)
				class := d["class_uid"].(int)
				for _, attr := range append(required[0], required[class]...) {
					if d[attr] == nil {
						t.Errorf("%s: a document of class %d has no %s", name, class, attr)
					}
				}
				if d["type_uid"] != class*100+d["activity_id"].(int) || d["category_uid"] != class/1000 {
					t.Errorf("%s: type %v, class %d, activity %v, category %v", name, d["type_uid"], class, d["activity_id"], d["category_uid"])
				}
				if d["activity_name"] == "" || d["severity"] == "" {
					t.Errorf("%s: class %d: activity %v or severity %v has no name", name, class, d["activity_id"], d["severity_id"])
				}
				seen[class]++
			}
		}
	}
	for class := range required {
		if class != 0 && seen[class] == 0 {
			t.Errorf("no row became a document of class %d", class)
		}
	}
	t.Logf("documents by class: %v", seen)
}

// TestOCSFSchema validates the documents of the golden cases and of the
// collected logs against the JSON Schema of OCSF, where it lies beside the
// repository.
func TestOCSFSchema(t *testing.T) {
	dir := dataDir()
	if dir == "" {
		return // only where the schema is
	}
	classes := ocsfSchemas(t, filepath.Join(dir, "ocsf/compiled/ocsf-1.8.0.schema.json.gz"))
	all, valid := 0, 0
	check := func(from string, b *tokenwatch.Batch) {
		for i := range b.Rows() {
			d := roundTrip(t, OCSF(b, i))
			schema := classes[int(d["class_uid"].(float64))]
			if schema == nil {
				t.Fatalf("%s: class %v has no schema", from, d["class_uid"])
			}
			all++
			if err := schema.Validate(d); err != nil {
				t.Errorf("%s row %d: %v", from, i, err)
				continue
			}
			valid++
			for _, attr := range required[0] {
				v := d[attr]
				delete(d, attr)
				if schema.Validate(d) == nil {
					t.Fatalf("%s row %d: valid without %s: the schema checks nothing", from, i, attr)
				}
				d[attr] = v
			}
		}
	}
	for name, bodies := range corpus(t) {
		for _, body := range bodies {
			if b, _ := sealed(t, name, body); b != nil {
				check(name, b)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "panther-tests/logs/*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no logs: %v", err)
	}
	for _, file := range files {
		in, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		for line := range bytes.Lines(in) {
			var fields struct{ Log json.RawMessage }
			if err := json.Unmarshal(line, &fields); err != nil {
				t.Fatal(err)
			}
			body.Write(fields.Log)
			body.WriteByte('\n')
		}
		if b, _ := sealed(t, "auto", body.String()); b != nil {
			check(filepath.Base(file), b)
		}
	}
	t.Logf("%d of %d documents are valid", valid, all)
}

// ocsfSchemas compiles the schema of each class that documents have.
func ocsfSchemas(t *testing.T, file string) map[int]*jsonschema.Schema {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	root, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("ocsf.json", root); err != nil {
		t.Fatal(err)
	}
	out := map[int]*jsonschema.Schema{}
	for uid, name := range map[int]string{3001: "account_change", 3002: "authentication", 3004: "entity_management", 4002: "http_activity", 6003: "api_activity"} {
		s, err := c.Compile("ocsf.json#/$defs/class_" + name)
		if err != nil {
			t.Fatal(err)
		}
		out[uid] = s
	}
	return out
}
