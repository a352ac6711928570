package enrich

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tokenwatch/tokenwatch"
)

func show(v *Inventory) string {
	var b strings.Builder
	at := func(ns int64) string {
		switch ns {
		case 0:
			return "?"
		case tokenwatch.Never:
			return "never"
		}
		return time.Unix(0, ns).UTC().Format("2006-01-02")
	}
	for _, t := range v.Tokens {
		fmt.Fprintf(&b, "%s %s owner=%s left=%v %s/%s/%s scopes=%v networks=%v created=%s expires=%s used=%s rotation=%d",
			t.Lineage, t.Label, t.Owner, t.OwnerLeft, t.App, t.Env, t.TokenType, t.Scopes, t.Networks, at(t.Created), at(t.Expires), at(t.LastUsed), t.RotationDays)
		for _, k := range t.Keys {
			b.WriteString(" key")
			for _, n := range k.Names {
				fmt.Fprintf(&b, " %s=%s", n.Kind, n.Value)
			}
			fmt.Fprintf(&b, " secret=%v created=%s", k.Secret != nil, at(k.Created))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestInventory(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"JSON list", `[{"token_id":"tok_1","name":"crm-ci","owner":"ann","owner_status":"left","app":"crm","env":"live","type":"ci","scopes":["a:read","a:write"],
			"created":"2023-08-10T23:02:28.000Z","expires":null,"last_used":"2025-03-09T14:28:46.000Z","rotation_days":365,"allowed_cidrs":["10.20.0.0/16"],
			"keys":[{"prefix":"twk_live_aaScbprK","sha256":"0aa975e6688016ea","created":"2024-12-07T13:29:27.000Z"},{"prefix":"twk_live_bbScbprK","sha256":"1aa975e6688016ea"}]},
			{"token_id":"tok_2","expires":"2026-01-02"}]`,
			"tok_1 crm-ci owner=ann left=true crm/live/ci scopes=[a:read a:write] networks=[10.20.0.0/16] created=2023-08-10 expires=never used=2025-03-09 rotation=365" +
				" key sha256=0aa975e6688016ea key_prefix=twk_live_aaScbprK secret=false created=2024-12-07 key sha256=1aa975e6688016ea key_prefix=twk_live_bbScbprK secret=false created=2023-08-10\n" +
				"tok_2  owner= left=false // scopes=[] networks=[] created=? expires=2026-01-02 used=? rotation=0\n"},
		{"object, flat keys", `{"as_of":"2026-01-01T00:00:00Z","tokens":[{"id":"9","label":"x","accessKeyId":"AKIAIOSFODNN7EXAMPLE","createdAt":1767225600}]}`,
			"9 x owner= left=false // scopes=[] networks=[] created=2026-01-01 expires=? used=? rotation=0 key access_key_id=AKIAIOSFODNN7EXAMPLE secret=false created=2026-01-01\n"},
		{"CSV", "Token ID,Owner,Environment,Scopes,Expires At,Key SHA256,API Key\ntok_1,ann,prod,a:read;b:read,,0aa975e6688016ea,\n,bob,,,never,,twk_live_8fK2aQ9xLm41pPq0\n",
			"tok_1  owner=ann left=false /prod/ scopes=[a:read b:read] networks=[] created=? expires=never used=? rotation=0 key sha256=0aa975e6688016ea secret=false created=?\n" +
				"  owner=bob left=false // scopes=[] networks=[] created=? expires=never used=? rotation=0 key secret=true created=?\n"},
	} {
		v, err := ParseInventory([]byte(c.file))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := show(v); got != c.want {
			t.Errorf("%s:\n%swant\n%s", c.name, got, c.want)
		}
	}
	for _, c := range []struct{ file, want string }{
		{"", "it is empty"},
		{"[]", "it holds no tokens"},
		{"[{}]", "item 1: the token has neither an id nor a name of its secret"},
		{`[{"id":"a","created":"yesterday"}]`, "item 1: created is no time"},
		{`[{"id":"a","allowed_cidrs":["x"]}]`, "item 1: no network such as 192.0.2.0/24"},
		{`[{"id":"a","rotation_days":-1}]`, "item 1: rotation days is no number of days"},
		{`[{"id":"a","keys":3}]`, "item 1: its keys are no list"},
		{"id,created\na,x\n", "line 2: created is no time"},
		{"a,b\n1,2\n", "line 2: the token has neither"},
	} {
		if _, err := ParseInventory([]byte(c.file)); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.file, err, c.want)
		}
	}
}

// FuzzTables: whatever a file holds, it is read or refused, and nothing panics.
func FuzzTables(f *testing.F) {
	f.Add([]byte(`[{"token_id":"tok_1","keys":[{"prefix":"twk_live_aaScbprK","sha256":"0aa975e6688016ea"}],"allowed_cidrs":["10.20.0.0/16"]}]`), "/a/b")
	f.Add([]byte("Token ID,Key SHA256\ntok_1,0aa975e6688016ea\n"), "")
	f.Add([]byte(`{"routes":[{"route":"/v1/{id}/**","method":"GET"}]}`), "/v1/x/y")
	f.Add([]byte("route,method\n/v1/:id,GET\n"), "/v1/x?y")
	f.Fuzz(func(t *testing.T, file []byte, path string) {
		if v, err := ParseInventory(file); err == nil && len(v.Tokens) == 0 {
			t.Error("an inventory without tokens is no error")
		}
		if r, err := ParseRoutes(file); err == nil {
			r.Lookup([]byte("GET"), []byte(path))
		}
	})
}
