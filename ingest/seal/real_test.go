package seal

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokenwatch/tokenwatch"
)

// TestFalseMasks seals real traffic in which no credential is known to be, and
// prints how much of it is masked. Without the data there is nothing to measure.
func TestFalseMasks(t *testing.T) {
	data := os.Getenv("TOKENWATCH_DATA")
	if data == "" {
		data = "../../../shared/data"
	}
	for _, c := range []struct {
		file string
		fill func(line string, row *tokenwatch.Row)
		most float64 // rows of a hundred that may have a mask
	}{
		{"access-logs/zanbil_nginx_combined.part1.log.gz", fillCombined, 0.5},
		{"access-logs/scanner_w3af.log.gz", fillCombined, 2},
		{"access-logs/scanner_acunetix.log.gz", fillCombined, 5},
		{"attacks/aws-stratus-timeline/cloudtrail.jsonl.gz", fillJSON, 5},
	} {
		file, err := os.Open(filepath.Join(data, c.file))
		if err != nil {
			t.Logf("no %s", c.file)
			continue
		}
		defer file.Close()
		unzipped, err := gzip.NewReader(file)
		if err != nil {
			t.Fatal(err)
		}
		s := testSealer(t, Config{})
		rows, masked := 0, 0
		byField := make(map[string]int)
		lines := bufio.NewScanner(unzipped)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var row tokenwatch.Row
			var b tokenwatch.Builder
			c.fill(lines.Text(), &row)
			s.Seal(&row, &b)
			rows++
			if len(s.spans) == 0 {
				continue
			}
			masked++
			for _, span := range s.spans {
				f := &s.fields[span.field]
				name := f.col.String()
				if f.attr >= 0 {
					name = string(row.Attrs[f.attr].Key)
				}
				byField[fmt.Sprintf("%s/%d", name, span.rank)]++
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d of %d rows with a mask, %.3f %%: field/rank %v", c.file, masked, rows, pct(masked, rows), byField)
		if pct(masked, rows) > c.most {
			t.Errorf("%s: more than %.1f %% of rows are masked", c.file, c.most)
		}
	}
}

// fillCombined takes path, referer and agent of an access-log line.
func fillCombined(line string, row *tokenwatch.Row) {
	parts := strings.Split(line, `"`)
	for len(parts) > 1 && !strings.Contains(parts[1], "HTTP/") {
		parts = parts[1:]
	}
	if len(parts) < 6 {
		return
	}
	if request := strings.Fields(parts[1]); len(request) > 1 {
		row.SetText(tokenwatch.ColPath, []byte(request[1]))
	}
	row.AddAttr([]byte("referer"), []byte(parts[3]))
	row.SetText(tokenwatch.ColUserAgent, []byte(parts[5]))
}

// fillJSON makes every field of a JSON record an attr.
func fillJSON(line string, row *tokenwatch.Row) {
	var v any
	d := json.NewDecoder(bytes.NewReader([]byte(line)))
	d.UseNumber()
	if d.Decode(&v) == nil {
		flatten("", v, row)
	}
}

func flatten(key string, v any, row *tokenwatch.Row) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			flatten(strings.TrimPrefix(key+"."+k, "."), e, row)
		}
	case []any:
		for _, e := range v {
			flatten(key, e, row)
		}
	case nil:
	default:
		row.AddAttr([]byte(key), fmt.Append(nil, v))
	}
}
