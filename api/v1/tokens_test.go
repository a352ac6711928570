package v1

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tokenwatch/tokenwatch"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/local"
)

// fill sets every field of a struct to something that is not zero.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(int64(1700000000+*n), 0).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprint("text ", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint64:
		v.SetUint(uint64(*n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	default:
		panic(v.Kind())
	}
}

// TestEveryTokenField: nothing of a record is lost on the way to a client.
func TestEveryTokenField(t *testing.T) {
	var want tokenwatch.TokenRecord
	n := 0
	fill(reflect.ValueOf(&want).Elem(), &n)
	want.AsOf = time.Time{} // is not for clients
	m := FromToken(&want)
	if got := ToToken(m); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	fields := m.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); !m.ProtoReflect().Has(f) {
			t.Errorf("%s is left out", f.FullName())
		}
	}
	// Over REST the names are those of the record's own JSON.
	names := map[string]bool{}
	for i := range reflect.TypeOf(want).NumField() {
		name, _, _ := strings.Cut(reflect.TypeOf(want).Field(i).Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		names[name] = true
		if fields.ByName(protoreflect.Name(name)) == nil {
			t.Errorf("the message has no field %s", name)
		}
	}
	if len(names) != fields.Len() {
		t.Errorf("%d fields in the record, %d in the message", len(names), fields.Len())
	}
}

// inventory is tokens in memory.
type inventory []tokenwatch.TokenRecord

func (in inventory) Token(_ context.Context, tenant, name string) (tokenwatch.TokenRecord, error) {
	for _, r := range in {
		if r.Tenant == tenant && (string(r.ID) == name || slices.Contains(r.SameAs, tokenwatch.TokenID(name)) || slices.ContainsFunc(r.Names, func(a tokenwatch.Alias) bool { return a.Value == name })) {
			return r, nil
		}
	}
	return tokenwatch.TokenRecord{}, storage.ErrNotFound
}

func (in inventory) Tokens(_ context.Context, tenant string, after tokenwatch.TokenID) iter.Seq2[tokenwatch.TokenRecord, error] {
	return func(yield func(tokenwatch.TokenRecord, error) bool) {
		for _, r := range in {
			if r.Tenant == tenant && r.ID > after && !yield(r, nil) {
				return
			}
		}
	}
}

var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// used appends events of a token to a store, each entry a day's.
func used(t *testing.T, s *local.Store, times map[tokenwatch.TokenID][]time.Time) {
	t.Helper()
	days := map[time.Time]*tokenwatch.Builder{}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, token := range slices.Sorted(func(yield func(tokenwatch.TokenID) bool) {
		for k := range times {
			if !yield(k) {
				return
			}
		}
	}) {
		for i, at := range times[token] {
			day := at.Truncate(24 * time.Hour)
			if days[day] == nil {
				days[day] = new(tokenwatch.Builder)
			}
			var r tokenwatch.Row
			r.SetInt(tokenwatch.ColTime, at.UnixNano())
			r.SetString(tokenwatch.ColToken, string(token))
			r.SetString(tokenwatch.ColSource, "web")
			r.SetString(tokenwatch.ColAction, []string{"GET /a", "GET /b"}[rng.IntN(2)])
			r.SetInt(tokenwatch.ColStatus, int64([]int{200, 403}[i%2]))
			r.SetAddr(netip.MustParseAddr("192.0.2.1"))
			days[day].Append(&r)
		}
	}
	for _, day := range slices.SortedFunc(func(yield func(time.Time) bool) {
		for d := range days {
			if !yield(d) {
				return
			}
		}
	}, time.Time.Compare) {
		if _, err := s.Append(t.Context(), tokenwatch.Entry{Tenant: "default", Batch: days[day].Batch()}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTimeline: every event of the span is there once, newest first, in pages of
// any size; the windows count them, beside what is usual.
func TestTimeline(t *testing.T) {
	s, err := local.Open(local.Config{
		Dir: "store", FS: vfs.NewMem(), Clock: func() time.Time { return monday.Add(24 * time.Hour) }, Rand: rand.NewChaCha8([32]byte{}), Ballast: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	first := monday.AddDate(0, 0, -10)
	times := map[tokenwatch.TokenID][]time.Time{}
	for day := range 10 { // two at nine each day, and one at night every other day
		d := first.AddDate(0, 0, day)
		times["tkw_a"] = append(times["tkw_a"], d.Add(9*time.Hour), d.Add(9*time.Hour+30*time.Minute))
		if day%2 == 0 {
			times["tkw_a"] = append(times["tkw_a"], d.Add(23*time.Hour))
		}
		times["tkw_b"] = append(times["tkw_b"], d.Add(9*time.Hour))
	}
	for i := range 40 { // today much more, some of it in the same instant
		times["tkw_a"] = append(times["tkw_a"], monday.Add(9*time.Hour+time.Duration(i/3)*time.Minute))
	}
	times["tkw_old"] = []time.Time{monday.Add(9 * time.Hour)} // another id of a's
	used(t, s, times)
	a := tokenwatch.TokenRecord{
		Tenant: "default", ID: "tkw_a", SameAs: []tokenwatch.TokenID{"tkw_old"}, LastUsed: monday.Add(9*time.Hour + 13*time.Minute),
		First: &tokenwatch.Sighting{Time: first.Add(9 * time.Hour)}, Names: []tokenwatch.Alias{{Kind: tokenwatch.NamePrefix, Value: "AKIA/1"}},
		Steps: []tokenwatch.TokenStep{{Time: first, Kind: tokenwatch.FactCreated}},
	}
	c := Config{Findings: s, Triage: s, Tokens: inventory{a}, Segments: s, Baselines: workday{"tkw_old"}, CursorKey: []byte("a key for tests.")}.withDefaults()
	h := &tokens{store: c.Tokens, segments: c.Segments, series: newSeries(c), findings: c.Findings, suppressor: c.Suppressor, now: c.Now, seal: sealer{c.CursorKey}}
	ctx := tokenwatch.WithPrincipal(t.Context(), tokenwatch.Principal{ID: "k", Tenant: "default", Role: tokenwatch.RoleAnalyst})

	for _, size := range []int32{1, 7, 41, 1000} {
		req := &pb.GetTimelineRequest{Id: "AKIA/1", From: timestamppb.New(monday), To: timestamppb.New(monday.Add(24 * time.Hour)), PageSize: size}
		var got []*pb.Event
		for pages := 0; ; pages++ {
			line, err := h.GetTimeline(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, line.GetEvents()...)
			if pages == 0 {
				checkWindows(t, line)
			} else if line.Windows != nil {
				t.Error("a later page has windows")
			}
			if req.PageToken = line.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		if len(got) != 41 {
			t.Errorf("in pages of %d: %d events, want 41", size, len(got))
		}
		if !slices.IsSortedFunc(got, func(x, y *pb.Event) int { return y.GetTime().AsTime().Compare(x.GetTime().AsTime()) }) {
			t.Errorf("in pages of %d: not newest first", size)
		}
	}
	// A longer span has days.
	line, err := h.GetTimeline(ctx, &pb.GetTimelineRequest{Id: "tkw_a", From: timestamppb.New(first.AddDate(0, 0, -40)), To: timestamppb.New(monday.Add(24 * time.Hour))})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(line.GetWindows()); n != 51 || line.GetWindows()[50].GetEvents() != 41 || line.GetWindows()[40].GetEvents() != 3 || line.GetWindows()[50].GetUsual() != 24 {
		t.Errorf("%d windows, %v", n, line.GetWindows()[40:])
	}
	// Unasked, it is the week up to the last use.
	line, err = h.GetTimeline(ctx, &pb.GetTimelineRequest{Id: "tkw_a"})
	if err != nil {
		t.Fatal(err)
	}
	if got := line.GetTo().AsTime(); !got.Equal(monday.Add(10 * time.Hour)) {
		t.Errorf("to %v", got)
	}
	for _, req := range []*pb.GetTimelineRequest{
		{Id: "tkw_a", From: timestamppb.New(monday), To: timestamppb.New(monday)},
		{Id: "tkw_a", From: timestamppb.New(monday.AddDate(-2, 0, 0)), To: timestamppb.New(monday)},
		{Id: "tkw_a", From: &timestamppb.Timestamp{Seconds: -1 << 40}},
		{Id: "tkw_a", To: &timestamppb.Timestamp{Seconds: 253402300799}},
	} {
		if _, err := h.GetTimeline(ctx, req); Reason(err) != tokenwatch.RefusedArgument {
			t.Errorf("%v: %v", req, err)
		}
	}
	if _, err := h.GetTimeline(ctx, &pb.GetTimelineRequest{Id: "tkw_b"}); err == nil {
		t.Error("a token that is not in the inventory")
	}
}

// workday expects of one token as many events as the hour has, or the step.
type workday struct{ id string }

func (w workday) Expected(_ context.Context, tenant string, of tokenwatch.Entity, from time.Time, step, n int) (tokenwatch.Series, error) {
	s := tokenwatch.Series{Start: from, Step: step}
	if tenant != "default" || of.ID != w.id {
		return s, storage.ErrNotFound
	}
	for i := range n {
		m := uint32(from.Add(time.Duration(i) * time.Hour).Hour())
		if step > 1 {
			m = uint32(step)
		}
		s.Low, s.Median, s.High = append(s.Low, 1), append(s.Median, m), append(s.High, 2*m)
	}
	return s, nil
}

func checkWindows(t *testing.T, line *pb.Timeline) {
	t.Helper()
	if n := len(line.GetWindows()); n != 24 {
		t.Fatalf("%d windows", n)
	}
	for h, want := range map[int]string{9: "41 20 1 9 18", 10: "0 0 1 10 20", 23: "0 0 1 23 46"} {
		w := line.GetWindows()[h]
		if got := fmt.Sprintf("%d %d %d %d %d", w.GetEvents(), w.GetFailed(), w.GetLow(), w.GetUsual(), w.GetHigh()); got != want || w.Usual == nil {
			t.Errorf("at %d o'clock: %s, want %s", h, got, want)
		}
	}
	if len(line.GetLifecycle()) != 1 {
		t.Errorf("lifecycle %v", line.GetLifecycle())
	}
}
