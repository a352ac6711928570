package format

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestShape(t *testing.T) {
	for v, want := range map[string]shape{
		"tok_LKChCcpBcGI0y3WctLgK": isSecret, "ghp_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA": isSecret, "9f86d081884c7d659a2feaa0c55ad015": isSecret,
		"twk_live_8fK2hT6w": isPrefix, "ab_8fK2h": isPrefix, "AKIAIOSFODNN7EXAMPLE": isAWSKey, "abcd***wxyz": isMasked, "***": isMasked, "[REDACTED]": isMasked,
		"": plain, "-": plain, "ann": plain, "ann@example.com": plain, "arn:aws:iam::123456789012:user/ann": plain, "svc_billing_worker": plain,
		"svc-billing-02": plain, "user-08686": plain, "InternalBillingService": plain, "svc_InternalBillingService": plain, "bob_McGee": plain,
		"3f2504e0-4f89-41d3-9a0c-0305e82c3301": plain, "kubernetes-controller-manager": plain,
	} {
		if got := shapeOf([]byte(v)); got != want {
			t.Errorf("shape of %q = %d, want %d", v, got, want)
		}
	}
}

// Of tokens drawn by lot hardly any is taken for a user's name.
func TestShapeRecall(t *testing.T) {
	const alphabet, n = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 20_000
	r := rand.New(rand.NewPCG(1, 2))
	missed := 0
	for range n {
		v := []byte("tok_")
		for range 20 {
			v = append(v, alphabet[r.IntN(len(alphabet))])
		}
		if shapeOf(v) != isSecret {
			missed++
		}
	}
	t.Logf("%d of %d missed", missed, n)
	if missed > n/500 {
		t.Errorf("%d of %d tokens missed", missed, n)
	}
}

// FuzzShape: the tables of prefixes and characters say what plain loops say.
func FuzzShape(f *testing.F) {
	for _, s := range []string{"", "tok_LKChCcpBcGI0y3WctLgK", "ghp_", "eyJhbGciOi", "aB3-_.~é\x00", "sk-1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		kind := func(c byte) int {
			switch {
			case c >= '0' && c <= '9':
				return 0
			case c >= 'a' && c <= 'z':
				return 1
			}
			return 2
		}
		want := 0
		for i := range in {
			if i > 0 && kind(in[i]) != kind(in[i-1]) {
				want++
			}
		}
		if got := changes(in); got != want {
			t.Fatalf("%q changes %d times, want %d", in, got, want)
		}
		if got, want := startsSecret(in), slices.ContainsFunc(secretPrefixes, func(p string) bool { return bytes.HasPrefix(in, []byte(p)) }); got != want {
			t.Fatalf("%q starts a secret: %v, want %v", in, got, want)
		}
	})
}
