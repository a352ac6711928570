package v1

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tokenwatch/tokenwatch"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/local"
)

// TestLink: a link is in the log as it was said, by whom, and tokens of others, or
// reasons that hold a credential, are refused.
func TestLink(t *testing.T) {
	s, err := local.Open(local.Config{
		Dir: "store", FS: vfs.NewMem(), Clock: func() time.Time { return monday }, Rand: rand.NewChaCha8([32]byte{}), Ballast: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a := tokenwatch.TokenRecord{Tenant: "default", ID: "tkw_a", SameAs: []tokenwatch.TokenID{"tkw_old"}, Names: []tokenwatch.Alias{{Kind: tokenwatch.NamePrefix, Value: "AKIA1"}}}
	b := tokenwatch.TokenRecord{Tenant: "default", ID: "tkw_b"}
	c := Config{Findings: s, Triage: s, Tokens: inventory{a, b}, CursorKey: []byte("a key for tests.")}.withDefaults()
	h := &tokens{store: c.Tokens, triage: s, holds: func(_, text string) bool { return strings.Contains(text, "s3cret") }}
	ctx := tokenwatch.WithPrincipal(t.Context(), tokenwatch.Principal{ID: "k", Tenant: "default", Role: tokenwatch.RoleAnalyst})
	for _, c := range []struct {
		req  *pb.LinkTokensRequest
		want string // logged, or the reason code
	}{
		{&pb.LinkTokensRequest{A: "AKIA1", B: "tkw_b", Kind: "same", Reason: "rotated by hand"}, "tkw_a same tkw_b 100 k rotated by hand"},
		{&pb.LinkTokensRequest{A: "tkw_a", B: "tkw_old", Kind: "apart", Confidence: 70}, "tkw_a apart tkw_old 70 k "},
		{&pb.LinkTokensRequest{A: "tkw_a", B: "tkw_none", Kind: "same"}, "not_found"},
		{&pb.LinkTokensRequest{A: "tkw_a", B: "AKIA1", Kind: "same"}, tokenwatch.RefusedArgument},
		{&pb.LinkTokensRequest{A: "tkw_a", B: "tkw_b", Kind: "like"}, tokenwatch.RefusedArgument},
		{&pb.LinkTokensRequest{A: "tkw_a", B: "tkw_b", Kind: "same", Confidence: 101}, tokenwatch.RefusedArgument},
		{&pb.LinkTokensRequest{A: "tkw_a", B: "tkw_b", Kind: "same", Reason: "s3cret"}, tokenwatch.RefusedArgument},
	} {
		before := s.Last()
		_, err := h.Link(ctx, c.req)
		if err != nil {
			if err, _ := Status(err); Reason(err) != c.want {
				t.Errorf("%v: %s, want %s", c.req, Reason(err), c.want)
			}
			if s.Last() != before {
				t.Errorf("%v: refused and logged", c.req)
			}
			continue
		}
		for entry, err := range s.Scan(t.Context(), storage.Range{First: before + 1, Last: s.Last()}) {
			if err != nil {
				t.Fatal(err)
			}
			l, err := tokenwatch.DecodeLink(entry.Control.Body)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join([]string{string(l.A), l.Kind, string(l.B), map[int]string{70: "70", 100: "100"}[l.Confidence], l.By, l.Reason}, " "); got != c.want || entry.Tenant != "default" {
				t.Errorf("%v: logged %q of %s, want %q", c.req, got, entry.Tenant, c.want)
			}
		}
	}
	leaves := 0
	for _, err := range s.Leaves(t.Context(), "default", 0) {
		if err != nil {
			t.Fatal(err)
		}
		leaves++
	}
	if leaves < 2 {
		t.Errorf("%d leaves", leaves)
	}
}
