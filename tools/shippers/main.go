// Command shippers sends numbered log records to a running tokenwatch by clients
// that others have written: the OpenTelemetry SDK's exporters, and an S3 server
// with objects to fetch. It is a module of its own, so that none of them is among
// the dependencies of the program.
//
//	shippers otlp-grpc|otlp-http ADDR KEY N
//	shippers s3 ADDR N
//
// It sends each record until it is taken, and ends with exit code 0 when all were;
// the S3 server ends with its standard input.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	sdk "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/log/logtest"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "shippers:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 3 {
		return errors.New("usage: otlp-grpc|otlp-http ADDR KEY N, or s3 ADDR N")
	}
	n, err := strconv.Atoi(args[len(args)-1])
	if err != nil {
		return err
	}
	ctx := context.Background()
	switch kind := args[0]; {
	case kind == "s3":
		return serveS3(args[1], n)
	case kind == "otlp-grpc" && len(args) == 4:
		e, err := otlploggrpc.New(ctx, otlploggrpc.WithEndpoint(args[1]), otlploggrpc.WithInsecure(), otlploggrpc.WithCompressor("gzip"),
			otlploggrpc.WithHeaders(map[string]string{"authorization": "Bearer " + args[2]}))
		if err != nil {
			return err
		}
		return export(ctx, e, kind, n)
	case kind == "otlp-http" && len(args) == 4:
		e, err := otlploghttp.New(ctx, otlploghttp.WithEndpoint(args[1]), otlploghttp.WithInsecure(), otlploghttp.WithCompression(otlploghttp.GzipCompression),
			otlploghttp.WithHeaders(map[string]string{"authorization": "Bearer " + args[2]}))
		if err != nil {
			return err
		}
		return export(ctx, e, kind, n)
	}
	return errors.New("no such shipper")
}

// line is record i of a shipper. Its request id is what it is known by when it
// comes twice.
func line(name string, i int, at time.Time) string {
	return fmt.Sprintf(`{"time":%q,"method":"GET","path":"/ship/%s/%d","status":200,"user":"u%d","request_id":"%s-%d"}`,
		at.UTC().Format(time.RFC3339Nano), name, i, i%7, name, i)
}

// export hands batches to an exporter until it takes them.
func export(ctx context.Context, e sdk.Exporter, name string, n int) error {
	const size = 500
	for from := 0; from < n; from += size {
		var batch []sdk.Record
		for i := from; i < min(n, from+size); i++ {
			now := time.Now()
			f := logtest.RecordFactory{Timestamp: now, Body: attribute.StringValue(line(name, i, now))}
			batch = append(batch, f.NewRecord())
		}
		for tries := 0; ; tries++ {
			err := e.Export(ctx, batch)
			if err == nil {
				break
			}
			if tries == 100 {
				return fmt.Errorf("batch from record %d: %w", from, err)
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
	return e.Shutdown(ctx)
}

// serveS3 serves a bucket that fills while it is read: a compressed object of a
// thousand records at a time.
func serveS3(addr string, n int) error {
	backend := s3mem.New()
	if err := backend.CreateBucket("logs"); err != nil {
		return err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- http.Serve(l, gofakes3.New(backend).Server()) }()
	const size = 1000
	for from := 0; from < n; from += size {
		var object bytes.Buffer
		z := gzip.NewWriter(&object)
		for i := from; i < min(n, from+size); i++ {
			fmt.Fprintln(z, line("s3", i, time.Now()))
		}
		if err := z.Close(); err != nil {
			return err
		}
		name := fmt.Sprintf("app/%s-%06d.log.gz", time.Now().UTC().Format("2006/01/02/20060102T150405"), from)
		if _, err := backend.PutObject("logs", name, map[string]string{"Last-Modified": time.Now().UTC().Format(http.TimeFormat)}, &object, int64(object.Len()), nil); err != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		failed <- err
	}()
	return <-failed
}
