package api

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tokenwatch/tokenwatch"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
)

// unary authorizes a call, and gives its error code and reason.
func (g *gate) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	defer func() { err = g.settle(ctx, info.FullMethod, recover(), err) }()
	if err := g.authorize(ctx, info.FullMethod, callerAddr(ctx)); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

// stream does the same for streams, and ends one whose key has been revoked.
func (g *gate) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	ctx := ss.Context()
	defer func() { err = g.settle(ctx, info.FullMethod, recover(), err) }()
	if err := g.authorize(ctx, info.FullMethod, callerAddr(ctx)); err != nil {
		return err
	}
	return next(srv, &guarded{ss, g})
}

// guarded is a stream whose key must still hold when something is sent or taken.
type guarded struct {
	grpc.ServerStream
	gate *gate
}

func (s *guarded) SendMsg(m any) error {
	if err := s.check(); err != nil {
		return err
	}
	return s.ServerStream.SendMsg(m)
}

func (s *guarded) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return s.check()
}

func (s *guarded) check() error {
	if who, ok := tokenwatch.PrincipalFrom(s.Context()); ok && !s.gate.keys.holds(who.ID) {
		return v1.Unauthenticated()
	}
	return nil
}

// settle turns what a handler ended with, a panic too, into the error that is
// answered. What is a fault of ours is logged; the caller learns only that.
func (g *gate) settle(ctx context.Context, method string, panicked any, err error) error {
	if panicked != nil {
		err = fmt.Errorf("panic: %v\n%s", panicked, debug.Stack())
	}
	if err != nil && v1.Reason(err) == "" && errors.Is(ctx.Err(), context.Canceled) {
		err = context.Canceled // whatever failed, the caller had gone
	}
	answer, fault := v1.Status(err)
	if fault {
		who, _ := tokenwatch.PrincipalFrom(ctx)
		g.log.ErrorContext(ctx, "request failed", "method", method, "tenant", who.Tenant, "error", err)
	}
	g.metrics.answered(method, status.Code(answer).String())
	return answer
}

// unknown answers methods that do not exist, whose names may be anything.
func unknown(any, grpc.ServerStream) error {
	return v1.Fail(v1.ReasonNotImplemented, "no such method", 0)
}

// outgoing adds to ctx what the gRPC server needs to know of an HTTP caller.
func outgoing(ctx context.Context, authorization, address string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", authorization, addressHeader, address)
}
