package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/source"
)

// registered returns every method of every service the server registers.
func registered(t *testing.T) map[string]protoreflect.MethodDescriptor {
	t.Helper()
	s, err := New(Config{
		Store: newFake(), CursorKey: cursorKey, Services: func(r grpc.ServiceRegistrar) { source.RegisterOTLP(r, nil) },
	})
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]protoreflect.MethodDescriptor)
	for name := range s.grpcServer().GetServiceInfo() {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			t.Fatal(err)
		}
		methods := d.(protoreflect.ServiceDescriptor).Methods()
		for i := range methods.Len() {
			m := methods.Get(i)
			out[fmt.Sprintf("/%s/%s", name, m.Name())] = m
		}
	}
	return out
}

func TestEveryMethodHasAGrant(t *testing.T) {
	methods := registered(t)
	for name := range methods {
		if _, ok := grants[name]; !ok {
			t.Errorf("%s is registered and not in the table of grants", name)
		}
	}
	s, err := New(Config{Store: newFake(), CursorKey: cursorKey})
	if err != nil {
		t.Fatal(err)
	}
	routes := make(map[string]bool)
	for _, r := range s.operations(nil) {
		routes[r.grant] = true
		if _, ok := grants[r.grant]; !ok || r.grant == "" {
			t.Errorf("%s %s is not in the table of grants", r.method, r.path)
		}
	}
	for name, g := range grants {
		if methods[name] == nil && !routes[name] {
			t.Errorf("%s has a grant and does not exist", name)
		}
		if !g.public && len(g.roles) == 0 {
			t.Errorf("%s is granted to nobody", name)
		}
	}
	var public []string
	for name, g := range grants {
		if g.public {
			public = append(public, name)
		}
	}
	slices.Sort(public)
	want := []string{"/grpc.health.v1.Health/Check", "GET /", "GET /healthz", "GET /openapi.json"}
	if !slices.Equal(public, want) {
		t.Errorf("without a key: %q, want %q", public, want)
	}
}

func TestDeniedWithoutAGrant(t *testing.T) {
	for _, role := range anyRole.roles {
		if allows(tokenwatch.Principal{ID: "k", Tenant: "default", Role: role}, "/tokenwatch.v1.Keys/New", "default") {
			t.Errorf("%s may call a method without a grant", role)
		}
	}
}

// principals are who tries each method.
func principals(t *testing.T, store *fake, random io.Reader) map[string]string {
	out := map[string]string{"none": "", "garbage": "tkwk_x"}
	for _, role := range anyRole.roles {
		out[string(role)] = store.key(t, random, "default", role)
		out["other "+string(role)] = store.key(t, random, "other", role)
	}
	good := out["admin"]
	out["one character changed"] = good[:len(good)-1] + "2"
	if out["one character changed"] == good {
		out["one character changed"] = good[:len(good)-1] + "3"
	}
	revoked := store.key(t, random, "default", tokenwatch.RoleAdmin)
	key := store.keys[keyID(revoked)]
	key.Revoked = key.Created
	store.keys[key.ID] = key
	out["revoked"] = revoked
	return out
}

// expected is the matrix in words: what a principal may, from the table.
func expected(who, method string) codes.Code {
	g := grants[method]
	role, other := strings.CutPrefix(who, "other ")
	switch {
	case g.public:
		return codes.OK
	case !slices.Contains(anyRole.roles, tokenwatch.Role(role)):
		return codes.Unauthenticated
	case !slices.Contains(g.roles, tokenwatch.Role(role)), g.operator && other:
		return codes.PermissionDenied
	default:
		return codes.OK
	}
}

// TestMatrixGRPC calls every method as everyone. A call that is let in may fail
// for what it asks, never for who asks.
func TestMatrixGRPC(t *testing.T) {
	store := newFake()
	who := principals(t, store, new(counting))
	r := start(t, store, nil)
	conn := r.dial()
	cells := 0
	for method, d := range registered(t) {
		for name, key := range who {
			before := len(store.recorded())
			err := call(with(t.Context(), key), conn, method, d)
			got, want := status.Code(err), expected(name, method)
			in := got != codes.Unauthenticated && got != codes.PermissionDenied
			if want == codes.OK && !in || want != codes.OK && got != want {
				t.Errorf("%s as %s: %v, want %v", method, name, err, want)
			}
			if noted := len(store.recorded()) > before; want == codes.PermissionDenied && !noted {
				t.Errorf("%s as %s is not in the history", method, name)
			}
			cells++
		}
	}
	t.Logf("%d methods × %d principals, %d calls", len(registered(t)), len(who), cells)
}

// TestMatrixREST does the same over HTTP, through the gateway and beside it.
func TestMatrixREST(t *testing.T) {
	store := newFake()
	who := principals(t, store, new(counting))
	store.put("default", "f")
	r := start(t, store, func(c *Config) {
		c.Ingest = Ingest{Routes: source.Routes(), Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			p, _ := tokenwatch.PrincipalFrom(req.Context())
			fmt.Fprintf(w, "%s %s", p.Tenant, p.Role)
		})}
	})
	paths, err := bindings()
	if err != nil {
		t.Fatal(err)
	}
	type line struct{ grant, method, path string }
	var lines []line
	for _, b := range paths {
		if b.path == "/v1/findings:watch" || b.path == "/v1/events:tail" {
			continue // have tests of their own; they do not end
		}
		lines = append(lines, line{b.rpc, b.method, strings.ReplaceAll(b.path, "{id}", "f")})
	}
	for name := range grants {
		if method, path, ok := strings.Cut(name, " "); ok {
			lines = append(lines, line{name, method, path})
		}
	}
	for _, pattern := range source.Routes() {
		if method, path, _ := strings.Cut(pattern, " "); pattern != root { // which is a public page as well
			path = strings.NewReplacer("{name}", "x", "{index}", "x").Replace(path)
			lines = append(lines, line{"/tokenwatch.v1.Ingest/Ingest", method, path})
		}
	}
	for _, l := range lines {
		for name, key := range who {
			body := ""
			if l.path == "/v1/keys" && l.method == "POST" {
				body = `{"role":"ingest"}`
			}
			got := r.do(l.method, l.path, key, body).code
			want := map[codes.Code]int{codes.Unauthenticated: 401, codes.PermissionDenied: 403}[expected(name, l.grant)]
			if want == 0 && (got == 401 || got == 403 || got >= 500) || want != 0 && got != want {
				t.Errorf("%s %s as %s: %d, want %d", l.method, l.path, name, got, want)
			}
		}
	}
	t.Logf("%d paths × %d principals", len(lines), len(who))
}

// call calls any method with an empty message and returns what it ended with,
// or nil if an endless stream has begun.
func call(ctx context.Context, conn *grpc.ClientConn, method string, d protoreflect.MethodDescriptor) error {
	in, out := dynamicpb.NewMessage(d.Input()), dynamicpb.NewMessage(d.Output())
	if !d.IsStreamingClient() && !d.IsStreamingServer() {
		return conn.Invoke(ctx, method, proto.Message(in), out)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: d.IsStreamingClient()}, method)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(in); err != nil && err != io.EOF {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return stream.RecvMsg(out)
}
