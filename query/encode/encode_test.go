package encode

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/parquet-go/parquet-go"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/expr"
	"github.com/tokenwatch/tokenwatch/query"
)

// sample is three rows of every type; the last is null throughout, and one row
// before it is not selected.
func sample() ([]query.Column, []expr.Vec, []int32) {
	columns := []query.Column{
		{Name: "n", Type: expr.TypeInt}, {Name: "f", Type: expr.TypeFloat}, {Name: "t", Type: expr.TypeText}, {Name: "b", Type: expr.TypeBool},
		{Name: "at", Type: expr.TypeTime}, {Name: "d", Type: expr.TypeSpan}, {Name: "ip", Type: expr.TypeAddr}, {Name: "j", Type: expr.TypeJSON},
		{Name: "all", Type: expr.TypeText},
	}
	addr, _ := expr.Parse("10.1.2.3", expr.TypeAddr)
	other, _ := expr.Parse("2001:db8::1", expr.TypeAddr)
	rows := [][]expr.Value{
		{expr.Int(1), expr.Float(0.5), expr.Text("a,\"b\"\n\x1b[1m\u202e"), expr.Bool(true), expr.Time(1772409600123456789), expr.Span(1500000000), addr, {Type: expr.TypeJSON, Text: `["x"]`}},
		{expr.Int(2), expr.Float(0), expr.Text("left out"), expr.Bool(false), expr.Time(0), expr.Span(0), addr, {Type: expr.TypeJSON, Text: `[]`}},
		{expr.Int(-1 << 62), expr.Float(3), expr.Text("=1+1"), expr.Bool(false), expr.Time(-1), expr.Span(-1), other, {Type: expr.TypeJSON, Text: `{}`}},
	}
	cols := make([]expr.Vec, len(columns))
	for c := range cols[:len(cols)-1] {
		cols[c].Type = columns[c].Type
		for i, row := range rows {
			one := expr.ConstOf(row[c])
			cols[c].Append(&one, 0, i)
		}
		null := expr.NullOf(columns[c].Type)
		cols[c].Append(&null, 0, len(rows))
	}
	cols[len(cols)-1] = expr.ConstOf(expr.Text("é"))
	return columns, cols, []int32{0, 2, 3}
}

func write(t *testing.T, name string, failed error) []byte {
	t.Helper()
	f, err := ByName(name)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	e := f.New(&b)
	columns, cols, sel := sample()
	if err := errors.Join(e.Begin(columns), e.Rows(cols, sel, 4), e.End(query.Statistics{Rows: 3}, failed)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestText(t *testing.T) {
	for name, want := range map[string]string{
		"csv": `n,f,t,b,at,d,ip,j,all
1,0.5,"a,""b""\n\u001b[1m\u202e",true,2026-03-02T00:00:00.123456789Z,1.5s,10.1.2.3,"[""x""]",é
-4611686018427387904,3,'=1+1,false,1969-12-31T23:59:59.999999999Z,-1ns,2001:db8::1,{},é
,,,,,,,,é
`,
		"ndjson": `{"n":1,"f":0.5,"t":"a,\"b\"\n\u001b[1m\u202e","b":true,"at":"2026-03-02T00:00:00.123456789Z","d":"1.5s","ip":"10.1.2.3","j":["x"],"all":"é"}
{"n":-4611686018427387904,"f":3.0,"t":"=1+1","b":false,"at":"1969-12-31T23:59:59.999999999Z","d":"-1ns","ip":"2001:db8::1","j":{},"all":"é"}
{"n":null,"f":null,"t":null,"b":null,"at":null,"d":null,"ip":null,"j":null,"all":"é"}
`,
	} {
		if got := string(write(t, name, nil)); got != want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
		}
	}
}

func TestJSON(t *testing.T) {
	for _, failed := range []error{nil, errors.New("too long")} {
		var got struct {
			Columns    []column         `json:"columns"`
			Rows       [][]any          `json:"rows"`
			Statistics query.Statistics `json:"statistics"`
			Error      string           `json:"error"`
		}
		d := json.NewDecoder(bytes.NewReader(write(t, "json", failed)))
		d.UseNumber()
		if err := d.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if len(got.Columns) != 9 || got.Columns[4].Type != "timestamp" || len(got.Rows) != 3 || got.Statistics.Rows != 3 {
			t.Errorf("%+v", got)
		}
		if got.Rows[1][0] != json.Number("-4611686018427387904") || got.Rows[2][2] != nil {
			t.Errorf("%v", got.Rows)
		}
		if (got.Error == "") != (failed == nil) {
			t.Errorf("the error is %q, want that of %v", got.Error, failed)
		}
	}
}

func TestArrow(t *testing.T) {
	r, err := ipc.NewReader(bytes.NewReader(write(t, "arrow", nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	if !r.Next() {
		t.Fatal(r.Err())
	}
	rec := r.Record()
	if rec.NumRows() != 3 || rec.NumCols() != 9 || !rec.Column(0).IsNull(2) || rec.Column(0).IsNull(1) {
		t.Fatalf("%v", rec)
	}
	for c, want := range map[int]string{0: "-4611686018427387904", 6: "2001:db8::1", 3: "false"} {
		if got := rec.Column(c).ValueStr(1); got != want {
			t.Errorf("column %d is %s, want %s", c, got, want)
		}
	}
	if r.Next() || r.Err() != nil {
		t.Errorf("more records, or %v", r.Err())
	}
}

func TestParquet(t *testing.T) {
	b := write(t, "parquet", nil)
	f, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	rows := parquet.NewReader(f)
	names := f.Schema().Columns()
	for i, want := range []map[string]string{
		{"n": "1", "t": "a,\"b\"\n\x1b[1m\u202e", "ip": "10.1.2.3", "at": "1772409600123456789", "b": "true", "all": "é"},
		{"n": "-4611686018427387904", "f": "3", "ip": "2001:db8::1", "j": "{}", "b": "false", "all": "é"},
		{"n": "<null>", "t": "<null>", "ip": "<null>", "all": "é"},
	} {
		buf := make([]parquet.Row, 1)
		if n, err := rows.ReadRows(buf); n != 1 {
			t.Fatal(i, err)
		}
		for _, v := range buf[0] {
			name := strings.Join(names[v.Column()], ".")
			if w, ok := want[name]; ok && v.String() != w {
				t.Errorf("row %d: %s is %s, want %s", i, name, v, w)
			}
		}
	}
}

// TestEmpty: an answer without rows is one in every format.
func TestEmpty(t *testing.T) {
	for _, f := range All {
		var b bytes.Buffer
		e := f.New(&b)
		columns, _, _ := sample()
		if err := errors.Join(e.Begin(columns), e.End(query.Statistics{}, nil)); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
		if f.Name != "ndjson" && b.Len() == 0 {
			t.Errorf("%s: nothing was written", f.Name)
		}
	}
}

// TestMap: attrs, the one column that is a map, is written as an object.
func TestMap(t *testing.T) {
	var row tokenwatch.Row
	row.AddAttr([]byte("k\""), []byte("v\n"))
	var b tokenwatch.Builder
	b.Append(&row)
	f := expr.FrameOf(b.Batch())
	var out bytes.Buffer
	e := newLines(&out)
	err := errors.Join(e.Begin([]query.Column{{Name: "attrs", Type: expr.TypeJSON}}), e.Rows(f.Cols[tokenwatch.ColAttrs:], nil, 1), e.End(query.Statistics{}, nil))
	if want := `{"attrs":{"k\"":"v\n"}}` + "\n"; err != nil || out.String() != want {
		t.Errorf("%s %v, want %s", out.String(), err, want)
	}
}
