package enrich

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

func TestRoutes(t *testing.T) {
	for _, table := range []string{
		`[{"route":"/v1/users/{id}","method":"GET","scope":"users:read","risk":"normal"},
		  {"route":"/v1/users/me","method":"get","scope":"self:read"},
		  {"route":"/v1/users/:id/keys/*","method":"DELETE","scope":"keys:write","risk":"High"},
		  {"path":"/files/**","scope":"files:read"}]`,
		"route,method,scope,risk\n/v1/users/{id},GET,users:read,normal\n/v1/users/me,GET,self:read,\n/v1/users/<id>/keys/{k},DELETE,keys:write,high\n/files/**,*,files:read,\n",
		`{"routes":[{"template":"/v1/users/{id}","verb":"GET","permission":"users:read"},{"route":"/v1/users/me","method":"GET","scope":"self:read"},
		  {"route":"/v1/users/{u}/keys/{k}","method":"DELETE","scope":"keys:write","risk":"high"},{"route":"/files/**","scope":"files:read"}]}`,
	} {
		r, err := ParseRoutes([]byte(table))
		if err != nil {
			t.Fatal(err)
		}
		if n := r.Summary().Entries; n != 4 {
			t.Errorf("%d entries, want 4", n)
		}
		for _, c := range []struct{ method, path, scope, risk string }{
			{"GET", "/v1/users/17?x=1", "users:read", ""},
			{"GET", "/v1/users/me", "self:read", ""},
			{"POST", "/v1/users/17", "none", ""},
			{"DELETE", "/v1/users/me/keys/9/", "keys:write", "high"},
			{"PUT", "/files/a/b/c", "files:read", ""},
			{"GET", "/files", "files:read", ""},
			{"GET", "/v1", "none", ""},
			{"GET", "", "none", ""},
		} {
			got := r.Lookup([]byte(c.method), []byte(c.path))
			switch {
			case got == nil && c.scope != "none", got != nil && (got.Scope != c.scope || c.risk != "" && got.Risk != c.risk):
				t.Errorf("%s %s: %+v, want %s %s", c.method, c.path, got, c.scope, c.risk)
			}
		}
	}
	for _, c := range []struct{ table, want string }{
		{"[]", "it holds no routes"},
		{"", "it is empty"},
		{`[{"route":"v1","method":"GET"}]`, "item 1: the route is no path"},
		{`[1]`, "item 1: no object"},
		{"{\n\"routes\": [}", "line 2: no JSON"},
		{`{"a":1}`, "the object has no list called routes"},
		{"method,scope\nGET,a\n", "line 1: no column is called route"},
		{"route,method\nx,GET\n", "line 2: the route is no path"},
	} {
		if _, err := ParseRoutes([]byte(c.table)); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.table, err, c.want)
		}
	}
}

// TestManyWildcards: a path costs a bounded number of steps whatever the table.
func TestManyWildcards(t *testing.T) {
	var table strings.Builder
	table.WriteString("route\n")
	for i := range 1 << 10 {
		for bit := range 10 {
			table.WriteString([]string{"/{x}", "/a"}[i>>bit&1])
		}
		table.WriteString("/end\n")
	}
	r, err := ParseRoutes([]byte(table.String()))
	if err != nil {
		t.Fatal(err)
	}
	steps := 0
	r.root.find([]byte("GET"), []byte(strings.Repeat("/a", 10)+"/other"), &steps)
	if steps > maxSteps+64 {
		t.Errorf("%d steps", steps)
	}
	if r.Lookup(nil, []byte(strings.Repeat("/a", 10)+"/end")) == nil {
		t.Error("the plain path is not found")
	}
}

// TestRow shows what a row gets, before and after it is normalised.
func TestRow(t *testing.T) {
	networks, err := ParseNetworks([]byte("cidr,asn,kind,country,lat,lon\n198.51.100.0/24,64500,hosting,nl,52.37,4.9\n"))
	if err != nil {
		t.Fatal(err)
	}
	routes, err := ParseRoutes([]byte("route,method,scope,risk\n/v1/team/{name},DELETE,team:admin,high\n"))
	if err != nil {
		t.Fatal(err)
	}
	var live Live
	n := normalize.New()
	enriched := func() *tokenwatch.Row {
		row := new(tokenwatch.Row)
		row.SetString(tokenwatch.ColMethod, "DELETE")
		row.SetString(tokenwatch.ColPath, "/v1/team/blue")
		row.SetAddr(netip.MustParseAddr("198.51.100.7"))
		live.Route(row)
		n.Normalize(row)
		live.Origin(row)
		return row
	}
	if row := enriched(); string(row.Text(tokenwatch.ColRoute)) != "/v1/team/blue" || len(row.Attrs) != 0 {
		t.Errorf("without tables: route %q, attrs %v", row.Text(tokenwatch.ColRoute), row.Attrs)
	}
	live.Set(Tables{networks, routes})
	row := enriched()
	for c, want := range map[tokenwatch.Col]string{
		tokenwatch.ColRoute: "/v1/team/{name}", tokenwatch.ColAction: "DELETE /v1/team/{name}", tokenwatch.ColScope: "team:admin",
		tokenwatch.ColSrcCountry: "NL", tokenwatch.ColSrcCloud: "hosting",
	} {
		if got := string(row.Text(c)); got != want {
			t.Errorf("%s is %q, want %q", c, got, want)
		}
	}
	if row.Int(tokenwatch.ColSrcASN) != 64500 {
		t.Errorf("AS %d", row.Int(tokenwatch.ColSrcASN))
	}
	attrs := map[string]string{}
	for _, a := range row.Attrs {
		attrs[string(a.Key)] = string(a.Value)
	}
	if len(attrs) != 2 || attrs[AttrPlace] != "52.37,4.90" || attrs[AttrRisk] != "high" {
		t.Errorf("attrs %v", attrs)
	}
}
