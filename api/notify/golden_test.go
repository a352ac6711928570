package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/tokenwatch/tokenwatch"
)

// transport answers requests from a function.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func replied(code int) *http.Response {
	return &http.Response{StatusCode: code, Body: io.NopCloser(strings.NewReader("")), Header: http.Header{}}
}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func sample() *tokenwatch.Finding {
	return &tokenwatch.Finding{
		ID: "fnd_a", Revision: 3, Tenant: "default", EntityKind: tokenwatch.EntityToken, Entity: "tkw_a", Token: "tkw_a",
		Aliases: []tokenwatch.Alias{{Kind: tokenwatch.NameAccessKeyID, Value: "AKIAEXAMPLE"}},
		Actor:   "ci@example.com", Time: noon.Add(-time.Minute),
		Window:    tokenwatch.Window{Start: noon.Add(-time.Hour), End: noon},
		Detectors: []string{"concurrent_origins", "novelty"}, Kind: "novelty", Class: tokenwatch.ClassAnomaly,
		Score: 93, Severity: tokenwatch.SeverityCritical, Summary: "This token was used from a network it never used before",
		Evidence: []tokenwatch.Event{}, Reasons: []tokenwatch.Reason{}, RequestIDs: []string{"r1"}, SrcIP: "198.51.100.7", Status: "new",
		Attack: []string{"T1078.004"}, Raised: noon, Update: 17, HistoryIndex: 40,
	}
}

// TestGolden shows what each kind of target is sent: testdata/notify has a file
// for each.
//
//	send event=raised told=high hostile
func TestGolden(t *testing.T) {
	for _, entry := range All {
		path := filepath.Join("..", "..", "testdata", "notify", entry.Name)
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s has no golden cases: %v", entry.Name, err)
			continue
		}
		t.Run(entry.Name, func(t *testing.T) {
			datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
				var event, told string
				d.ScanArgs(t, "event", &event)
				d.MaybeScanArgs(t, "told", &told)
				f := sample()
				if d.HasArg("hostile") {
					f.Summary = "</script><!channel> [x](http://evil.example) @everyone\x1b[31m\n\u202e" + strings.Repeat("long ", 1000)
					f.Entity, f.Aliases = "a\nb\u202e", nil
				}
				sent := ""
				client := newClient(&Guard{}, time.Second, transport(func(r *http.Request) (*http.Response, error) {
					sent = shown(t, r)
					return replied(202), nil
				}))
				n, err := entry.New(Target{Name: "t", URL: "https://target.example/path", Secret: "0123456789abcdef"}, client)
				if err != nil {
					t.Fatal(err)
				}
				m := &Message{
					Finding: f, Event: Event(event), Key: key(f, Event(event)), Told: tokenwatch.Severity(told),
					Time: noon.Add(time.Second), Link: "https://tokenwatch.example/v1/findings/" + f.ID,
				}
				if err := n.Send(t.Context(), m); err != nil {
					t.Fatal(err)
				}
				if d.HasArg("hostile") {
					steering := []string{"\x1b", "\u202e"}
					if entry.Name == "slack" {
						steering = append(steering, "<!channel>", "](http", "@everyone")
					}
					for _, bad := range steering {
						if strings.Contains(sent, bad) {
							t.Errorf("%q is sent as it is", bad)
						}
					}
					return fmt.Sprintf("%d bytes at most\n", (len(sent)+1023)/1024*1024)
				}
				return sent
			})
		})
	}
	if files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "notify", "*")); err != nil || len(files) != len(All) {
		t.Errorf("%d files of golden cases for %d kinds of targets (%v)", len(files), len(All), err)
	}
}

// shown is a request as text.
func shown(t *testing.T, r *http.Request) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", r.Method, r.URL)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(r.Header[name], ", "))
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, body, "", " "); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "\n%s\n", pretty.String())
	return b.String()
}

// TestSigned: whoever has the key can check a webhook as Standard Webhooks say.
func TestSigned(t *testing.T) {
	// The example of the specification's libraries.
	key, err := signingKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := Sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, bad := range []string{"", "short", "whsec_", "whsec_!"} {
		if _, err := signingKey(bad); err == nil {
			t.Errorf("%q signs", bad)
		}
	}
}
