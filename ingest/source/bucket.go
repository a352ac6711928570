package source

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/tokenwatch/tokenwatch"
)

// Bucket takes in the objects of an S3-compatible bucket, found by listing: the
// layouts of CloudTrail, load balancers and the like. Objects do not change once
// they are written, so that each is one delivery, known by its key and its entity
// tag; that it is in the log is stored with its records.
type Bucket struct {
	Endpoint string // host:port; default s3.amazonaws.com
	Insecure bool   // HTTP rather than HTTPS
	Region   string
	Bucket   string
	Prefix   string
	AccessID string // with Secret; "": from the environment, files and roles that AWS names
	Secret   string
	Every    time.Duration // how often it is listed; default 1 min
	Since    time.Duration // older objects are left alone; 0: none are
	MaxBytes int64         // of an object, expanded; larger ones are named and left out; default 64 MiB
	To       Pipeline
	Marks    Marks
	Tenant   string
	Source   string
	Format   string                     // default auto
	Left     func(tenant string, n int) // counts objects that were left out; may be nil
	Logger   *slog.Logger               // default: nothing is logged
	Now      func() time.Time

	done map[string]struct{} // of this run: what need not be asked of Marks again
}

// maxDone bounds what is remembered in memory; Marks know the rest.
const maxDone = 1 << 20

// Run looks at the bucket until ctx ends.
func (b *Bucket) Run(ctx context.Context) error {
	b.fill()
	auth := credentials.NewChainCredentials([]credentials.Provider{
		&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{},
	})
	if b.AccessID != "" {
		auth = credentials.NewStaticV4(b.AccessID, b.Secret, "")
	}
	client, err := minio.New(b.Endpoint, &minio.Options{Creds: auth, Secure: !b.Insecure, Region: b.Region})
	if err != nil {
		return fmt.Errorf("look at a bucket: %w", err)
	}
	ticker := time.NewTicker(b.Every)
	defer ticker.Stop()
	for {
		err := b.look(ctx, client)
		if ctx.Err() != nil {
			return nil
		}
		if refusal := (*tokenwatch.Refusal)(nil); errors.As(err, &refusal) {
			return err
		}
		if err != nil { // the next look may be luckier
			b.Logger.WarnContext(ctx, "a bucket cannot be read", "source", b.Source, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (b *Bucket) fill() {
	if b.Endpoint == "" {
		b.Endpoint = "s3.amazonaws.com"
	}
	if b.Every <= 0 {
		b.Every = time.Minute
	}
	if b.MaxBytes <= 0 {
		b.MaxBytes = 64 << 20
	}
	if b.Logger == nil {
		b.Logger = slog.New(slog.DiscardHandler)
	}
	if b.Left == nil {
		b.Left = func(string, int) {}
	}
	if b.Now == nil {
		b.Now = time.Now
	}
	b.done = map[string]struct{}{}
}

// look takes in what is new.
func (b *Bucket) look(ctx context.Context, client *minio.Client) error {
	listing, stop := context.WithCancel(ctx)
	defer stop()
	for object := range client.ListObjects(listing, b.Bucket, minio.ListObjectsOptions{Prefix: b.Prefix, Recursive: true}) {
		if object.Err != nil {
			return object.Err
		}
		old := b.Since > 0 && object.LastModified.Before(b.Now().Add(-b.Since))
		if old || object.Size == 0 || strings.HasSuffix(object.Key, "/") || strings.Contains(object.Key, "CloudTrail-Digest/") {
			continue
		}
		input := "s3:" + b.Bucket + "/" + object.Key + "@" + object.ETag
		if _, ok := b.done[input]; ok {
			continue
		}
		at, err := b.Marks.Mark(ctx, b.Tenant, b.Source, input)
		if err != nil {
			return err
		}
		if at == 0 {
			if err := b.take(ctx, client, object, input); err != nil {
				return err
			}
		}
		if len(b.done) >= maxDone {
			clear(b.done)
		}
		b.done[input] = struct{}{}
	}
	return nil
}

// take takes in one object.
func (b *Bucket) take(ctx context.Context, client *minio.Client, object minio.ObjectInfo, input string) error {
	body, err := client.GetObject(ctx, b.Bucket, object.Key, minio.GetObjectOptions{})
	if err != nil {
		return err
	}
	defer body.Close()
	wire := &honest{r: body}
	text, err := expandAll(wire, b.MaxBytes+1)
	switch {
	case wire.err != nil: // it did not come whole: the next look may be luckier
		return wire.err
	case err != nil:
		b.leave(ctx, object.Key, "is damaged", err)
		return nil
	case int64(len(text)) > b.MaxBytes:
		b.leave(ctx, object.Key, "is larger than a request may be", nil)
		return nil
	}
	return insist(ctx, b.To, Delivery{
		Tenant: b.Tenant, Principal: "s3", Source: b.Source, Format: b.Format,
		Mark: &tokenwatch.Mark{Input: input, Offset: object.Size},
	}, text)
}

// honest remembers why what it reads did not come to its end, which decompressors
// take for damage.
type honest struct {
	r   io.Reader
	err error
}

func (h *honest) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	if err != nil && err != io.EOF {
		h.err = err
	}
	return n, err
}

// expandAll reads what r expands to, or the first bytes of it.
func expandAll(r io.Reader, most int64) ([]byte, error) {
	plain, _, err := expand(bufio.NewReaderSize(r, 64<<10), "", nil)
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	return io.ReadAll(io.LimitReader(plain, most))
}

// leave names an object that is not taken in.
func (b *Bucket) leave(ctx context.Context, key, why string, err error) {
	b.Logger.ErrorContext(ctx, "an object of a bucket "+why+" and was left out", "source", b.Source, "object", key, "error", err)
	b.Left(b.Tenant, 1)
}
