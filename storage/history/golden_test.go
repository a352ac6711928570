package history

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/fxamacker/cbor/v2"
)

// parseLeaf reads a line such as "segment offset=3 at=90s tenant=a".
func parseLeaf(t testing.TB, line string) (Leaf, map[string]string) {
	t.Helper()
	kind, args, err := datadriven.ParseLine(line)
	if err != nil {
		t.Fatal(err)
	}
	v := make(map[string]string)
	for _, a := range args {
		v[a.Key] = strings.Join(a.Vals, ",")
	}
	num := func(key string) uint64 {
		if v[key] == "" {
			return 0
		}
		n, err := strconv.ParseUint(v[key], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	sum := func(key string) Digest {
		if v[key] == "" {
			return Digest{}
		}
		return sha256.Sum256([]byte(v[key]))
	}
	l := Leaf{Time: epoch0}
	if v["at"] != "" {
		d, err := time.ParseDuration(v["at"])
		if err != nil {
			t.Fatal(err)
		}
		l.Time = l.Time.Add(d)
	}
	if v["tenant"] != "" {
		l.Tenant = Commit(Salt{1}, v["tenant"])
	}
	if v["actor"] != "" {
		l.Actor = Commit(Salt{2}, v["actor"])
	}
	switch kind {
	case "segment":
		s := &Segment{
			Offset: num("offset"), Rows: num("rows"), Digest: sum("bytes"), Bytes: uint64(len(v["bytes"])),
			From: int64(num("from")), To: int64(num("to")),
		}
		var counts []SourceCount
		for i := range num("sources") {
			counts = append(counts, SourceCount{Source: fmt.Sprintf("source-%d", i), Rows: i, Rejected: i % 2})
		}
		if err := s.SetSources(counts); err != nil {
			t.Fatal(err)
		}
		l.Body = s
	case "control":
		l.Body = &Control{Offset: num("offset"), Record: "tick", Digest: sum("bytes"), Bytes: uint64(len(v["bytes"]))}
	case "finding":
		l.Body = &Finding{ID: v["id"], Revision: num("revision"), Score: int64(num("score")), Digest: sum("id"),
			Settled: v["settled"] != "", Withdrawn: v["withdrawn"] != ""}
	case "action":
		l.Body = &AdminAction{Verb: v["verb"], Object: v["object"], Detail: v["detail"]}
	case "conflict":
		l.Body = &Conflict{Offset: num("offset"), Stored: sum("stored"), Refused: sum("refused")}
	case "tick":
		l.Body = &Tick{}
	case "loss":
		l.Body = &Loss{What: "log", First: num("first"), Last: num("last")}
	case "summary":
		l.Body = &Summary{First: num("first"), Last: num("last"), Late: num("late"), Rejected: num("rejected")}
	case "restore":
		l.Body = &Restore{Origin: v["origin"], Size: num("size"), Root: sum("origin"), Offset: num("offset")}
	case "key-epoch":
		l.Body = &KeyEpoch{Use: v["use"], Epoch: num("epoch")}
	case "retention":
		l.Body = &Retention{Policy: "v1", Ranges: []Range{{First: num("first"), Last: num("last")}}, Rows: 5}
	case "merge":
		l.Body = &Merge{Ranges: []Range{{First: num("first"), Last: num("last")}}, Rows: 5, Digest: sum("bytes"), Bytes: uint64(len(v["bytes"]))}
	default:
		t.Fatalf("no kind %q", kind)
	}
	return l, v
}

// TestLeaf pins the bytes of every kind of leaf.
func TestLeaf(t *testing.T) {
	datadriven.RunTest(t, "../../testdata/history/leaf", func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "encode":
			var out strings.Builder
			m := &memory{}
			log := m.open(t)
			for line := range strings.Lines(d.Input) {
				l, _ := parseLeaf(t, line)
				m.put(t, log, l)
			}
			for _, b := range m.leaves {
				l, err := Decode(b)
				if err != nil {
					t.Fatal(err)
				}
				diag, err := cbor.Diagnose(b)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&out, "%v, %d bytes\n%x\n%s\n", l.Kind(), len(b), b, diag)
			}
			return out.String()
		case "decode":
			b, err := hex.DecodeString(strings.Join(strings.Fields(d.Input), ""))
			if err != nil {
				t.Fatal(err)
			}
			l, err := Decode(b)
			if err != nil {
				return err.Error()
			}
			return fmt.Sprintf("%v, leaf %d, %v", l.Kind(), l.Index, l.Time)
		default:
			t.Fatalf("no command %q", d.Cmd)
			return ""
		}
	})
}

// TestVerify shows what a verification says about histories that were signed
// whole, so that only what their leaves say can be wrong. A line is a leaf as
// the writer stages it; "restart" opens the log anew; lie= changes a leaf
// afterwards, and payload= gives the log entry other bytes ("none": no bytes).
func TestVerify(t *testing.T) {
	datadriven.RunTest(t, "../../testdata/history/verify", func(t *testing.T, d *datadriven.TestData) string {
		key := testKey(t, 1)
		m := &memory{}
		log := m.open(t)
		lies := make(map[int]string)
		for line := range strings.Lines(d.Input) {
			if strings.TrimSpace(line) == "restart" {
				log = m.open(t)
				continue
			}
			l, v := parseLeaf(t, line)
			if v["lie"] != "" {
				lies[len(m.leaves)] = v["lie"]
			}
			m.put(t, log, l)
			switch payload, given := v["payload"]; {
			case given && payload == "none":
			case given && l.Body.Kind() == KindMerge:
				m.payloads = append(m.payloads, Payload{Leaf: uint64(len(m.leaves) - 1), Bytes: []byte(payload)})
			case given:
				m.payloads = append(m.payloads, Payload{Offset: parseOffset(t, v), Bytes: []byte(payload)})
			case v["bytes"] != "" && l.Body.Kind() == KindMerge:
				m.payloads = append(m.payloads, Payload{Leaf: uint64(len(m.leaves) - 1), Bytes: []byte(v["bytes"])})
			case v["bytes"] != "":
				m.payloads = append(m.payloads, Payload{Offset: parseOffset(t, v), Bytes: []byte(v["bytes"])})
			}
		}
		for i, lie := range lies {
			m.leaves[i] = tell(t, m.leaves[i], lie)
		}
		told := rehash(m.leaves)
		told.payloads = m.payloads
		r, err := Verify(told.export(t, key).fs(), Options{VKey: key.Verifier(), Payloads: d.HasArg("payloads")})
		if err != nil {
			return err.Error()
		}
		var out strings.Builder
		fmt.Fprintf(&out, "%v, exit code %d: %d leaves, %d payloads, %d absent\n",
			r.Verdict, r.Verdict.ExitCode(), r.Leaves, r.Payloads, r.Absent)
		for _, p := range r.Problems {
			fmt.Fprintln(&out, p)
		}
		for _, s := range r.Stops {
			fmt.Fprintf(&out, "stopped before leaf %d for %v\n", s.Index, s.To.Sub(s.From))
		}
		return out.String()
	})
}

func parseOffset(t testing.TB, v map[string]string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(v["offset"], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// tell changes a leaf so that it breaks an invariant.
func tell(t testing.TB, b []byte, lie string) []byte {
	t.Helper()
	l, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	switch lie {
	case "index":
		l.Index++
	case "prev":
		*l.Prev--
	case "no-prev":
		l.Prev = nil
	case "clock":
		l.Clock--
	case "time":
		l.Time = l.Time.Add(-time.Hour)
	case "tick":
		l.Body.(*Tick).Chains[0].Count++
	case "kind": // of a newer program
		var w wireLeaf
		if err := decMode.Unmarshal(b, &w); err != nil {
			t.Fatal(err)
		}
		w.Header.Kind = 200
		if b, err = encMode.Marshal(w); err != nil {
			t.Fatal(err)
		}
		return b
	default:
		t.Fatalf("no lie %q", lie)
	}
	if b, err = Encode(&l); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestExport pins the layout, and the bytes by their digests.
func TestExport(t *testing.T) {
	datadriven.RunTest(t, "../../testdata/history/export", func(t *testing.T, d *datadriven.TestData) string {
		var out strings.Builder
		switch d.Cmd {
		case "path":
			for line := range strings.Lines(d.Input) {
				var (
					n     uint64
					width int
				)
				if _, err := fmt.Sscan(line, &n, &width); err != nil {
					t.Fatal(err)
				}
				fmt.Fprintln(&out, tilePath(2, n, width), entriesPath(n, width), SegmentPath(n))
			}
		case "export":
			var size int
			d.ScanArgs(t, "size", &size)
			f := newStory(t, 1).grow(t, size).m.export(t, testKey(t, 1))
			for _, name := range sortedNames(f) {
				if !strings.HasPrefix(name, segmentsFolder) {
					fmt.Fprintf(&out, "%s %d %.4x\n", name, len(f[name]), sha256.Sum256(f[name]))
				}
			}
			out.Write(f[checkpointFile])
			out.Write(f[manifestFile])
		default:
			t.Fatalf("no command %q", d.Cmd)
		}
		return out.String()
	})
}
