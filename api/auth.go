package api

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net"
	"net/netip"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/tap"

	"github.com/tokenwatch/tokenwatch"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
)

// gate lets principals in and keeps others out, the same way on every port.
type gate struct {
	keys     *keyring
	failures *limiter
	history  recorder
	operator string
	log      *slog.Logger
	metrics  *metrics
}

// authenticate returns who sends the given Authorization headers from an
// address. Whatever is wrong with them, the error is one and the same, until
// the address has failed too often; a good key is let in even then, so that
// nobody is shut out by a neighbour's failures.
func (g *gate) authenticate(headers []string, from netip.Addr) (tokenwatch.Principal, error) {
	var text string
	if len(headers) == 1 && len(headers[0]) <= maxAuthorization {
		text = keyOf(headers[0])
	}
	if len(text) > keyLength {
		text = "" // nothing of that size need be hashed
	}
	if who, ok := g.keys.check(text); ok {
		return who, nil
	}
	g.metrics.refused("", v1.ReasonUnauthenticated)
	if !from.IsValid() { // from within: counted where it came in
		return tokenwatch.Principal{}, v1.Unauthenticated()
	}
	if wait := g.failures.failed(from); wait > 0 {
		return tokenwatch.Principal{}, v1.Fail(v1.ReasonRateLimited, "too many failed attempts from this address", wait)
	}
	return tokenwatch.Principal{}, v1.Unauthenticated()
}

// maxAuthorization is the longest header of a known scheme that can hold a key.
const maxAuthorization = 512

// keyOf returns the API key in an Authorization header, "" if there is none: as a
// bearer token, or as the clients of other products send what they take for
// theirs: a Splunk token, an Elasticsearch API key (the key itself, or base64 of
// an id, a colon and the key), the password of Basic with any user name.
func keyOf(header string) string {
	scheme, rest, ok := strings.Cut(header, " ")
	if !ok {
		return ""
	}
	switch strings.ToLower(scheme) {
	case "bearer", "splunk":
		return rest
	case "apikey", "basic":
		if plain, err := base64.StdEncoding.DecodeString(rest); err == nil {
			if _, key, ok := strings.Cut(string(plain), ":"); ok {
				return key
			}
		}
		if strings.EqualFold(scheme, "apikey") {
			return rest
		}
	}
	return ""
}

// authorize tells whether the principal of ctx may call method. An attempt that
// is not allowed is in the history before it is answered.
func (g *gate) authorize(ctx context.Context, method string, from netip.Addr) error {
	if grants[method].public {
		return nil
	}
	who, ok := tokenwatch.PrincipalFrom(ctx)
	if !ok {
		return v1.Unauthenticated()
	}
	if allows(who, method, g.operator) {
		return nil
	}
	g.metrics.refused(who.Tenant, v1.ReasonForbidden)
	if _, listed := grants[method]; !listed {
		method = "a method without a grant" // its name may be anything
	}
	// Each entry costs a synced write, so who keeps trying has to wait.
	if from.IsValid() {
		if wait := g.failures.failed(from); wait > 0 {
			return v1.Fail(v1.ReasonRateLimited, "too many failed attempts from this address", wait)
		}
	}
	if _, err := g.history.Record(ctx, denied(who, method)); err != nil {
		g.log.ErrorContext(ctx, "a refused attempt could not be put into the history",
			"tenant", who.Tenant, "key", who.ID, "method", method, "error", err)
	}
	return forbidden()
}

// tap authenticates a gRPC call when its headers are there and before any of
// its message is read, so that nobody unknown can make the server hold one.
func (g *gate) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	if grants[info.FullMethodName].public {
		return ctx, nil
	}
	who, err := g.authenticate(info.Header.Get("authorization"), addrOf(ctx))
	if err != nil {
		return ctx, err
	}
	return tokenwatch.WithPrincipal(ctx, who), nil
}

// addrOf returns the address a gRPC call comes from; it is invalid for calls of
// our own gateway, which come from within the process.
func addrOf(ctx context.Context) netip.Addr {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return netip.Addr{}
	}
	if tcp, ok := p.Addr.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr()
	}
	return netip.Addr{}
}

// addressHeader carries the address of an HTTP caller to the gRPC server in the
// same process; from anywhere else it is not looked at.
const addressHeader = "tokenwatch-address"

// callerAddr is addrOf, and for calls of our own gateway the address of the
// HTTP caller.
func callerAddr(ctx context.Context) netip.Addr {
	if a := addrOf(ctx); a.IsValid() {
		return a
	}
	md, _ := metadata.FromIncomingContext(ctx)
	if v := md.Get(addressHeader); len(v) == 1 {
		if a, err := netip.ParseAddr(v[0]); err == nil {
			return a
		}
	}
	return netip.Addr{}
}
