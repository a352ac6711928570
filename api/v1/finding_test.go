package v1

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tokenwatch/tokenwatch"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
)

// full has a value in every field; TestEveryField holds it to that.
var full = tokenwatch.Finding{
	ID: "fnd_x", Revision: 3, Settled: true, Withdrawn: true, Learning: true, Tenant: "default",
	EntityKind: tokenwatch.EntityActor, Entity: "role/a", Token: "tkw_x",
	Aliases: []tokenwatch.Alias{{Kind: tokenwatch.NameJTI, Value: "j"}}, Actor: "role/a",
	Time:      time.Unix(1700000000, 123456789).UTC(),
	Window:    tokenwatch.Window{Start: time.Unix(1, 0).UTC(), End: time.Unix(2, 0).UTC()},
	Detectors: []string{"novelty"}, Kind: "novelty", Class: tokenwatch.ClassPolicy, Score: 80,
	Severity: tokenwatch.SeverityHigh, Summary: "s",
	Reasons: []tokenwatch.Reason{{
		Detector: "novelty", Axis: "network", Surprise: 1.5, Observed: 2, Expected: 0.25,
		Values: []string{"v"}, Text: "t", Attack: []string{"T1"},
	}},
	Evidence: []tokenwatch.Event{{
		Time: time.Unix(3, 0).UTC(), Source: "web", RequestID: "r", Token: "tkw_x", Actor: "role/a", SrcIP: "192.0.2.1",
		Action: "s3:GetObject", Resource: "arn", Status: 200, Outcome: "success", Error: "none",
	}},
	Series: &tokenwatch.Series{
		Start: time.Unix(7, 0).UTC(), Step: 1, AsOf: time.Unix(8, 0).UTC(), Low: []uint32{1}, Median: []uint32{2}, High: []uint32{3},
		Observed: []uint32{4}, Failed: []uint32{5}, Peers: 6, PeerMean: 7,
	},
	RequestIDs: []string{"r"}, SrcIP: "192.0.2.1", Status: "new", Attack: []string{"T1"},
	Continues: "fnd_w", MergedInto: "fnd_y",
	Members: []tokenwatch.Member{{EntityKind: tokenwatch.EntityAddress, Entity: "192.0.2.1", Score: 60}}, MemberCount: 2,
	Verdict: "benign", Note: "a note", JudgedBy: "key", Judged: time.Unix(6, 0).UTC(), SuppressedBy: "sup_1", Controls: []string{"CC6.1"},
	Raised: time.Unix(4, 0).UTC(), Update: math.MaxUint64, HistoryIndex: 1 << 60,
}

// TestEveryField: a finding survives the way to its message and back, and no
// field of either is left out.
func TestEveryField(t *testing.T) {
	for _, v := range []any{full, full.Reasons[0], full.Evidence[0], full.Aliases[0], full.Window, *full.Series, full.Members[0]} {
		rv := reflect.ValueOf(v)
		for i := range rv.NumField() {
			if rv.Field(i).IsZero() {
				t.Errorf("%s.%s has no value in the test", rv.Type(), rv.Type().Field(i).Name)
			}
		}
	}
	m := FromFinding(&full)
	noField(t, m.ProtoReflect())
	noField(t, m.GetReasons()[0].ProtoReflect())
	noField(t, m.GetEvidence()[0].ProtoReflect())
	noField(t, m.GetSeries().ProtoReflect())
	wire, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var back pb.Finding
	if err := proto.Unmarshal(wire, &back); err != nil {
		t.Fatal(err)
	}
	got, err := ToFinding(&back)
	if err != nil || !reflect.DeepEqual(got, full) {
		t.Errorf("%+v\n%+v\n%v", got, full, err)
	}
}

// noField reports fields of a message that have no value.
func noField(t *testing.T, m protoreflect.Message) {
	t.Helper()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		if !m.Has(fields.Get(i)) {
			t.Errorf("%s is left out", fields.Get(i).FullName())
		}
	}
}

// TestNamesAreOurs: the JSON names of a finding are those of tokenwatch.Finding.
func TestNamesAreOurs(t *testing.T) {
	for message, v := range map[proto.Message]any{
		&pb.Finding{}: tokenwatch.Finding{}, &pb.Reason{}: tokenwatch.Reason{}, &pb.Event{}: tokenwatch.Event{}, &pb.Series{}: tokenwatch.Series{},
	} {
		names := make(map[string]bool)
		fields := message.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			names[string(fields.Get(i).Name())] = true
		}
		rt := reflect.TypeOf(v)
		for i := range rt.NumField() {
			name, _, _ := strings.Cut(rt.Field(i).Tag.Get("json"), ",")
			if !names[name] {
				t.Errorf("%s.%s is %q, which the message has not", rt, rt.Field(i).Name, name)
			}
			delete(names, name)
		}
		if len(names) > 0 {
			t.Errorf("only the message of %s has %v", rt, names)
		}
	}
}

// TestBadText: what is not UTF-8 does not keep a finding from being read.
func TestBadText(t *testing.T) {
	f := full
	f.Summary, f.Actor, f.RequestIDs = "a\xffb", "\xc3", []string{"\xed\xa0\x80"}
	m := FromFinding(&f)
	if _, err := proto.Marshal(m); err != nil {
		t.Fatal(err)
	}
	if m.GetSummary() != "a\ufffdb" || !utf8.ValidString(m.GetRequestIds()[0]) {
		t.Errorf("%q %q", m.GetSummary(), m.GetRequestIds())
	}
}
