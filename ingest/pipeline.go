// Package ingest takes logs from bytes to the log: a request goes in, and when
// its answer comes out, every record of it is durable or named with a reason.
//
// A [Pipeline] frames, parses, normalises and seals a request into one Batch, on
// the goroutine that reads it. A [Batcher] joins the requests of a tenant and
// commits groups of them, on a goroutine of its own. What is under way is bounded
// in bytes; what is more is refused before anything of it is stored.
//
// No raw credential leaves this package: rows are sealed before they become a
// Batch, and of a record that cannot be read only place, length, keyed digest
// and reason are kept.
package ingest

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"runtime/debug"
	"sync"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/format"
	"github.com/tokenwatch/tokenwatch/ingest/frame"
	"github.com/tokenwatch/tokenwatch/ingest/source"
)

// A record costs memory besides its bytes, as a row or as a reject. It is charged
// so that a body of many tiny records costs its sender what it costs us.
const (
	recordBytes = 160
	chargeEvery = 1024 // records
)

// Pipeline takes requests from their bytes to the log. It may be called from
// many goroutines, and starts none.
type Pipeline struct {
	c       Config
	batcher *Batcher
	budget  *budget
	chooser *chooser
	buffers sync.Pool // of *bufio.Reader
	idle    idle
}

// New returns a Pipeline that submits to a Batcher. A Pipeline that only seals
// (Seal, Merge) needs none.
func New(b *Batcher, c Config) *Pipeline {
	c = c.withDefaults()
	return &Pipeline{
		c:       c,
		batcher: b,
		budget:  newBudget(c.InFlight, c.RetryAfter),
		chooser: newChooser(c.MaxInputs, c.Format),
		buffers: sync.Pool{New: func() any { return bufio.NewReaderSize(nil, sampleBytes) }},
	}
}

// Ingest takes in one delivery and answers when it is durable; source.Pipeline
// has the contract. A body without records and without a key leaves no trace.
func (p *Pipeline) Ingest(ctx context.Context, d source.Delivery) (source.Answer, error) {
	answer, err := p.ingest(ctx, d)
	if refusal := (*tokenwatch.Refusal)(nil); errors.As(err, &refusal) {
		p.c.Metrics.Refused(d.Tenant, refusal.Reason)
	}
	return answer, err
}

func (p *Pipeline) ingest(ctx context.Context, d source.Delivery) (source.Answer, error) {
	in := newBody(&d, p.budget, p.c.Now)
	defer in.close()
	s, name, err := p.seal(d, in)
	if err != nil {
		return source.Answer{}, err
	}
	if s.Request.Rows == 0 && len(s.Request.Rejects) == 0 && d.Key == "" {
		return source.Answer{Format: name}, nil
	}
	receipt, err := p.batcher.Submit(ctx, s)
	if err != nil {
		return source.Answer{}, err
	}
	return answerOf(receipt, name)
}

// Admit claims n bytes for a request of a tenant before it is read, though at most
// an eighth of what all may take; source.Admitter has the contract.
func (p *Pipeline) Admit(tenant string, n int64) (give func(int64), err error) {
	left := min(n, p.c.InFlight/8)
	if err := p.budget.take(tenant, left); err != nil {
		return nil, err
	}
	var mu sync.Mutex
	return func(n int64) {
		mu.Lock()
		defer mu.Unlock()
		n = min(n, left)
		left -= n
		p.budget.give(tenant, n)
	}, nil
}

// Seal does what Ingest does but for committing: it reads a delivery to its end
// and returns its rows and rejects, and the format they were read as.
func (p *Pipeline) Seal(d source.Delivery) (Submission, string, error) {
	in := newBody(&d, p.budget, p.c.Now)
	defer in.close()
	return p.seal(d, in)
}

// seal turns a body into a submission. Whatever panics on the way takes down this
// request alone.
func (p *Pipeline) seal(d source.Delivery, in *body) (_ Submission, _ string, err error) {
	defer func() {
		if recover() != nil { // its value may hold content
			p.c.Logger.Error("pipeline panicked", "tenant", d.Tenant, "offset", in.n, "stack", string(debug.Stack()))
			err = &tokenwatch.Refusal{Reason: tokenwatch.RefusedInternal, Detail: "the request failed"}
		}
	}()
	start := p.c.Now()
	buffer := p.buffers.Get().(*bufio.Reader)
	buffer.Reset(in)
	defer func() {
		buffer.Reset(nil)
		p.buffers.Put(buffer)
	}()
	f, r, err := p.format(d, buffer)
	if err != nil {
		return Submission{}, "", err
	}
	w, err := p.worker(d.Tenant, f)
	if err != nil {
		return Submission{}, "", err
	}
	w.begin(d.Source, d.Format == source.FormatAuto)
	if w.sealer.Holds(w.source.Text()) {
		p.idle.put(w)
		return Submission{}, "", &tokenwatch.Refusal{Reason: tokenwatch.RefusedArgument, Detail: "the name of the source holds a credential"}
	}
	from := input{d.Tenant, d.Source}
	w.setHeader(p.chooser.header(from))
	err = p.records(w, f, r, in)
	p.chooser.setHeader(from, w.header())
	batch, broken := w.batch()
	records, rejects, read, names := w.records, w.rejects, w.format, w.sealer.TakeNamed()
	if w.faults == 0 && read.Name == f.Name { // not after a panic: it may hold half a request
		w.rejects = nil
		p.idle.put(w)
	}
	if err = errors.Join(err, broken); err != nil {
		return Submission{}, "", err
	}
	if d.Format == source.FormatAuto && records > 0 {
		p.chooser.learn(from, read, records, len(rejects))
	}
	p.c.Metrics.Took(StageRead, in.took)
	p.c.Metrics.Took(StageParse, p.c.Now().Sub(start)-in.took)
	return Submission{
		Tenant: d.Tenant,
		Batch:  batch,
		Request: tokenwatch.Request{
			Key:       keyDigest(d.Key),
			Principal: d.Principal,
			Source:    d.Source,
			Digest:    in.sum(),
			Rows:      batch.Rows(),
			Rejects:   rejects,
			Mark:      d.Mark,
		},
		Bytes: in.n,
		Named: names,
	}, read.Name, nil
}

// keyDigest returns what is stored of an idempotency key, which is text of a
// client's choice: equal keys have equal digests. Without a key it is empty.
func keyDigest(key string) string {
	if key == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// records hands every record of a body to a worker, and reads it to its end.
func (p *Pipeline) records(w *worker, f format.Format, r io.Reader, in *body) error {
	frames := w.frames(f.Frame, r, p.c.MaxRecord)
	defer frames.Reset(nil) // the worker outlives the request
	framer := partsOf(frames, w.parser)
	for {
		record, err := framer.Next()
		if in.err != nil { // the framer may take a cut body for a cut record
			return in.err
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		w.add(record)
		if w.records > p.c.MaxRecords || len(w.rejects) > p.c.MaxRejects {
			return &tokenwatch.Refusal{
				Reason: tokenwatch.RefusedTooLarge,
				Detail: "too many records, or too many that cannot be read: send fewer at once",
			}
		}
		if w.records%chargeEvery == 0 {
			if err := in.charge(chargeEvery * recordBytes); err != nil {
				return err
			}
		}
	}
	// The digest is of the whole body, also of what follows the last record.
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	return in.err
}

// format returns the format of a delivery, zero if none fits.
func (p *Pipeline) format(d source.Delivery, r *bufio.Reader) (format.Format, *bufio.Reader, error) {
	if d.Format == source.FormatAuto {
		f, r, err := p.chooser.choose(input{d.Tenant, d.Source}, r, p.c.MaxRecord)
		if err == nil && f.New == nil {
			head, _ := r.Peek(r.Size())
			f.Frame = frame.Sniff(head)
		}
		return f, r, err
	}
	for _, f := range p.c.Formats {
		if f.Name == d.Format {
			return f, r, nil
		}
	}
	return format.Format{}, nil, &tokenwatch.Refusal{
		Reason: tokenwatch.RefusedArgument, Detail: "no format of that name; tokenwatch formats lists them",
	}
}

// answerOf says what a receipt means for the sender.
func answerOf(r tokenwatch.Receipt, format string) (source.Answer, error) {
	if r.Conflict {
		return source.Answer{}, &tokenwatch.Refusal{
			Reason: tokenwatch.RefusedConflict, Detail: "the idempotency key was used before for other content",
		}
	}
	a := source.Answer{
		Accepted:      r.Rows,
		Duplicate:     r.Duplicate,
		Format:        format,
		Rejected:      r.Rejects,
		RejectedTotal: len(r.Rejects),
		Reasons:       countReasons(r.Rejects),
	}
	if r.Rows == 0 && len(r.Rejects) > 0 {
		return a, &tokenwatch.Refusal{Reason: tokenwatch.RefusedAllRejected, Detail: "no record could be stored"}
	}
	return a, nil
}

var (
	_ source.Pipeline = (*Pipeline)(nil)
	_ source.Admitter = (*Pipeline)(nil)
)
