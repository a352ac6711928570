package format

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/frame"
)

func unquote(t testing.TB, s string) string {
	t.Helper()
	out, err := strconv.Unquote(`"` + strings.ReplaceAll(strings.TrimSpace(s), "\n", "") + `"`)
	if err != nil {
		t.Fatalf("bytes: %v", err)
	}
	return out
}

// seeds are the inputs of a format's golden cases.
func seeds(tb testing.TB, f Format) []string {
	tb.Helper()
	var out []string
	files, err := filepath.Glob(golden + f.Name + "/*")
	if err != nil {
		tb.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		for _, block := range strings.Split(string(text), "\n\n") {
			for strings.HasPrefix(block, "#") {
				_, block, _ = strings.Cut(block, "\n")
			}
			cmd, rest, _ := strings.Cut(block, "\n")
			in, _, ok := strings.Cut(rest, "\n----")
			if !ok {
				continue
			}
			if cmd == "bytes" {
				in = unquote(tb, in)
			}
			out = append(out, in)
		}
	}
	return out
}

// Each line of the table has a file of its name, golden cases and a sentence.
func TestTable(t *testing.T) {
	last := ""
	for _, f := range All {
		if f.Name <= last {
			t.Errorf("%s stands behind %s", f.Name, last)
		}
		last = f.Name
		if _, err := os.Stat(f.Name + ".go"); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
		if len(seeds(t, f)) < 5 {
			t.Errorf("%s: fewer than 5 golden cases", f.Name)
		}
		if f.Doc == "" || f.Sniff == nil {
			t.Errorf("%s: a column of the table is empty", f.Name)
		}
		if got, ok := ByName(f.Name); !ok || got.Name != f.Name {
			t.Errorf("ByName(%q) finds %q", f.Name, got.Name)
		}
	}
	if _, ok := ByName("none"); ok {
		t.Error("ByName finds what is not there")
	}
}

// FuzzParse: whatever comes in, parsers answer with a row or a Rejection, the
// same each time, whose text quotes none of the record and whose values lie in
// the record or in the row's memory.
func FuzzParse(f *testing.F) {
	for i, format := range All {
		for _, s := range seeds(f, format) {
			f.Add(uint8(i), []byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, in []byte) {
		format := All[int(which)%len(All)]
		p, err := format.New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		if n := format.Sniff(in); n < 0 || n > 100 {
			t.Fatalf("%s: sniffs %d", format.Name, n)
		}
		if s, ok := p.(Splitter); ok {
			if parts := s.Split(in); len(parts) > 0 {
				in = parts[0]
			}
		}
		var row, again tokenwatch.Row
		err = p.Parse(in, &row)
		if err == ErrNoRecord {
			return
		}
		if err != nil {
			r, ok := errors.AsType[*tokenwatch.Rejection](err)
			if !ok {
				t.Fatalf("%s: %T is no Rejection", format.Name, err)
			}
			if len(r.Detail) > 80 {
				t.Fatalf("%s: detail %q", format.Name, r.Detail)
			}
			return
		}
		if !row.Has(tokenwatch.ColTime) && !format.Arrival {
			t.Fatalf("%s: a row without time", format.Name)
		}
		first := show(&row)
		// A copy parsed with the same parser must read the same, and the first
		// row must not change with it: nothing of it lies in the parser.
		if err := p.Parse(bytes.Clone(in), &again); err != nil || show(&again) != first {
			t.Fatalf("%s: reads differently the second time: %v\n%s\n%s", format.Name, err, first, show(&again))
		}
		if show(&row) != first {
			t.Fatalf("%s: a row lies in its parser's memory", format.Name)
		}
		for i := range tokenwatch.NumColumns {
			within(t, in, row.Text(tokenwatch.Col(i)))
		}
	})
}

// within fails if v begins inside in and ends outside it.
func within(t *testing.T, in, v []byte) {
	t.Helper()
	if len(in) == 0 || len(v) == 0 {
		return
	}
	begin, end := uintptr(unsafe.Pointer(unsafe.SliceData(in))), uintptr(unsafe.Pointer(unsafe.SliceData(in)))+uintptr(len(in))
	at := uintptr(unsafe.Pointer(unsafe.SliceData(v)))
	if at >= begin && at < end && at+uintptr(len(v)) > end {
		t.Fatalf("a value reaches %d bytes beyond the record", at+uintptr(len(v))-end)
	}
	runtime.KeepAlive(in)
}

// TestReal parses the real logs that lie beside the repository on a developer's
// machine, where there are any.
func TestReal(t *testing.T) {
	const data = "../../../shared/data/"
	if _, err := os.Stat(data); err != nil {
		t.Logf("no real logs at hand: %v", err)
		return
	}
	for _, c := range []struct{ format, glob, inner string }{
		{"ocsf", "ocsf/examples.jsonl", "ocsf"}, // some have no time or null fields: counted only
		{"combined", "access-logs/zanbil*.gz", ""},
		{"combined", "access-logs/scanner_acunetix.log.gz", ""},
		{"combined", "access-logs/scanner_w3af.log.gz", ""},
		{"cloudtrail", "attacks/aws-stratus-timeline/cloudtrail.jsonl.gz", ""},
		{"cloudtrail", "attacks/stratus-detonations/aws.*.jsonl", ""},
		{"cloudtrail", "attacks/panther-scenarios/enrichment-example/*.jsonl", "log"},
	} {
		files, err := filepath.Glob(data + c.glob)
		if err != nil || len(files) == 0 {
			t.Errorf("%s: no file (%v)", c.glob, err)
		}
		for _, file := range files {
			in := read(t, file, c.inner)
			f, _ := ByName(c.format)
			rows, rejects, credentials, names := 0, 0, 0, 0
			p, _ := f.New(Config{})
			var row tokenwatch.Row
			var sample [][]byte
			fr := frame.New(f.Frame, bytes.NewReader(in), 0)
			for {
				rec, err := fr.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if len(sample) < 50 {
					sample = append(sample, bytes.Clone(rec.Bytes))
				}
				row.Reset()
				if err := p.Parse(rec.Bytes, &row); err != nil {
					if rejects++; rejects < 4 && c.format != "ocsf" {
						t.Errorf("%s: record at %d: %v", filepath.Base(file), rec.Offset, err)
					}
					continue
				}
				rows++
				credentials += len(row.Credentials)
				names += len(row.Names)
			}
			t.Logf("%s: %d rows, %d rejects, %d credentials, %d names", filepath.Base(file), rows, rejects, credentials, names)
			if got, err := Detect(sample); err != nil || got.Name != c.format {
				t.Errorf("%s: taken for %q, %v", filepath.Base(file), got.Name, err)
			}
		}
	}
}

// read returns a file decompressed; of each line only the field inner, if given.
func read(t *testing.T, file, inner string) []byte {
	t.Helper()
	in, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(file, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(in))
		if err != nil {
			t.Fatal(err)
		}
		if in, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	if inner == "" {
		return in
	}
	var out []byte
	for line := range bytes.Lines(in) {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(line, &fields); err != nil {
			t.Fatal(err)
		}
		out = append(append(out, fields[inner]...), '\n')
	}
	return out
}

// A JSON record of too many fields is refused; of a CloudTrail record only the
// attrs beyond the limit are left out, and secrets among them still found.
func TestManyFields(t *testing.T) {
	var b strings.Builder
	for i := range 300 {
		b.WriteString(`,"f` + strconv.Itoa(i) + `":1`)
	}
	var row tokenwatch.Row
	p, _ := newJSON(Config{})
	err := p.Parse([]byte(`{"ts":1700000000`+b.String()+`}`), &row)
	if r, ok := errors.AsType[*tokenwatch.Rejection](err); !ok || r.Reason != tokenwatch.ReasonTooManyField {
		t.Errorf("json: %v", err)
	}
	row.Reset()
	p, _ = newCloudTrail(Config{})
	err = p.Parse([]byte(`{"eventTime":1700000000,"eventSource":"a","eventName":"b"`+b.String()+`,"x":{"password":"canary"}}`), &row)
	if err != nil || len(row.Attrs) > maxFields || len(row.Attrs) < 200 || len(row.Credentials) != 1 {
		t.Errorf("cloudtrail: %v, %d attrs, %d credentials", err, len(row.Attrs), len(row.Credentials))
	}
}

func TestDetect(t *testing.T) {
	if _, err := Detect([][]byte{[]byte("what is this"), nil}); err == nil {
		t.Error("chose a format for nonsense")
	}
	if _, err := Detect(nil); err == nil {
		t.Error("chose a format for nothing")
	}
}

func BenchmarkParse(b *testing.B) {
	for name, line := range map[string]string{
		"combined":     `88.38.24.175 - tok_LKChCcpBcGI0y3WctLgK [02/Mar/2026:00:00:26 +0000] "GET /v2/payments/50d065f7436d HTTP/1.1" 200 95 "-" "PostmanRuntime/7.39.0" rid=b4c8 rt=0.120`,
		"json":         `{"time":"2026-03-02T00:00:26.540Z","token":"tok_LKChCcpBcGI0y3WctLgK","principal":"user-08686@org287","src_ip":"88.38.24.175","user_agent":"PostmanRuntime/7.39.0","method":"GET","host":"billing.example.com","path":"/v2/payments/50d065f7436d","status":200,"bytes_out":95,"duration_ms":162,"request_id":"fcb450847ff22800ccf33139ea76dd04"}`,
		"cloudtrail":   `{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","principalId":"AIDAEXAMPLE","arn":"arn:aws:iam::123456789012:user/ann","accountId":"123456789012","accessKeyId":"AKIAIOSFODNN7EXAMPLE","userName":"ann"},"eventTime":"2023-07-10T11:42:23Z","eventSource":"s3.amazonaws.com","eventName":"GetBucketPolicy","awsRegion":"us-east-1","sourceIPAddress":"10.248.16.43","userAgent":"[Boto3/1.26.165]","requestParameters":{"bucketName":"b","Host":"b.s3.us-east-1.amazonaws.com","policy":""},"responseElements":null,"requestID":"GXK985","eventID":"c20d93d2-87e1-483d-9c6c-9cdfc35671d4","readOnly":true,"resources":[{"accountId":"123456789012","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::b"}],"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"123456789012","eventCategory":"Management"}`,
		"alb":          `https 2026-03-02T08:15:01.186641Z app/api-lb/50dc6c495c0c9188 203.0.113.7:46532 10.0.0.1:80 0.086 0.048 0.037 200 200 821 57 "GET https://api.example.com:443/v1/users/42 HTTP/1.1" "curl/8.5.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/t/73e2d6bc24d8a067 "Root=1-58337281-1d84f3d73c47ec4e58577259" "api.example.com" "arn:aws:acm:us-east-2:123456789012:certificate/12345678" 1 2026-03-02T08:15:01.086000Z "forward" "-" "-" "10.0.0.1:80" "200" "-" "-"`,
		"haproxy":      `203.0.113.7:14853 [02/Mar/2026:08:15:01.127] https-in~ api/node_8002 170/0/0/3/173 200 739 - - ---- 0/0/0/0/0 0/0 "GET /v1/users/42 HTTP/1.1"`,
		"envoyjson":    `{"authority":"api.example.com","bytes_received":0,"bytes_sent":121258,"downstream_remote_address":"203.0.113.7:41854","duration":226,"method":"GET","path":"/v1/items","protocol":"HTTP/2","request_id":"84961386-6d84","response_code":200,"response_flags":"-","start_time":"2026-03-02T08:15:01.209Z","upstream_cluster":"outbound|80||api","user_agent":"curl/8.5.0","x_forwarded_for":"-"}`,
		"logfmt":       `ts=2026-03-02T08:15:01.25Z level=info method=GET path=/v1/items status=200 duration=12.5ms remote_ip=203.0.113.7 user_agent="curl/8.5.0" request_id=84961386`,
		"syslog":       `<190>Mar  2 08:15:01 edge-1 nginx: 88.38.24.175 - - [02/Mar/2026:00:00:26 +0000] "GET /v2/payments/50d065f7436d HTTP/1.1" 200 95 "-" "PostmanRuntime/7.39.0"`,
		"cri":          `2026-03-02T08:15:01.493035218Z stdout F 88.38.24.175 - - [02/Mar/2026:00:00:26 +0000] "GET /v2/payments/50d065f7436d HTTP/1.1" 200 95 "-" "PostmanRuntime/7.39.0"`,
		"proxymanager": `[02/Mar/2026:08:15:01 +0000] - 200 200 - GET https api.example.com "/v1/items" [Client 203.0.113.7] [Length 1543] [Gzip 2.45] [Sent-to 10.0.0.15] "curl/8.5.0" "-"`,
	} {
		b.Run(name, func(b *testing.B) {
			f, _ := ByName(name)
			p, _ := f.New(Config{})
			var row tokenwatch.Row
			record := []byte(line)
			b.SetBytes(int64(len(record)))
			b.ReportAllocs()
			for b.Loop() {
				row.Reset()
				if err := p.Parse(record, &row); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
