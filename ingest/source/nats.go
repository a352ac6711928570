package source

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenwatch/tokenwatch"
)

// NATS consumes a JetStream stream. How far it was read is stored with its
// messages, in one write; at each start the consumer is made anew to begin there,
// and messages are acknowledged when they are in the log. So every message is
// stored once, whatever dies.
type NATS struct {
	URL      string
	Stream   string
	Subject  string // filter; "": all of the stream
	Durable  string // name of the consumer; default tokenwatch
	CredFile string // of the user; "": none
	TLS      *tls.Config
	To       Pipeline
	Marks    Marks
	Tenant   string
	Source   string
	Format   string       // default auto
	Batch    int          // messages taken at once, at most; default 5000
	Logger   *slog.Logger // default: nothing is logged
}

// Run consumes until ctx ends.
func (n *NATS) Run(ctx context.Context) error {
	if n.Durable == "" {
		n.Durable = "tokenwatch"
	}
	if n.Batch <= 0 {
		n.Batch = 5000
	}
	if n.Logger == nil {
		n.Logger = slog.New(slog.DiscardHandler)
	}
	options := []nats.Option{nats.Name("tokenwatch"), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true)}
	if n.TLS != nil {
		options = append(options, nats.Secure(n.TLS))
	}
	if n.CredFile != "" {
		options = append(options, nats.UserCredentials(n.CredFile))
	}
	conn, err := nats.Connect(n.URL, options...)
	if err != nil {
		return fmt.Errorf("connect to NATS: %w", err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return fmt.Errorf("connect to JetStream: %w", err)
	}
	for {
		err := n.consume(ctx, js)
		if ctx.Err() != nil {
			return nil
		}
		refusal := (*tokenwatch.Refusal)(nil)
		if errors.As(err, &refusal) {
			return fmt.Errorf("take in messages of NATS: %w", err)
		}
		// The server or the stream is not there: it may come.
		n.Logger.WarnContext(ctx, "NATS: the stream cannot be read", "source", n.Source, "error", err)
		timer := time.NewTimer(5 * time.Second)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// errGap is a message that was not delivered: the consumer begins again before it.
var errGap = errors.New("a message was not delivered in its turn")

// consume makes the consumer and follows it, until something is wrong with it.
func (n *NATS) consume(ctx context.Context, js jetstream.JetStream) error {
	input := "nats:" + n.Stream
	stored, err := n.Marks.Mark(ctx, n.Tenant, n.Source, input)
	if err != nil {
		return err
	}
	config := jetstream.ConsumerConfig{
		Durable: n.Durable, AckPolicy: jetstream.AckAllPolicy, AckWait: 5 * time.Minute,
		FilterSubject: n.Subject, MaxAckPending: 4 * n.Batch,
	}
	if stored > 0 {
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, uint64(stored)
	}
	if err := js.DeleteConsumer(ctx, n.Stream, n.Durable); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return err
	}
	consumer, err := js.CreateConsumer(ctx, n.Stream, config)
	if err != nil {
		return err
	}
	for turn := uint64(1); ctx.Err() == nil; {
		batch, err := consumer.Fetch(n.Batch, jetstream.FetchMaxWait(time.Second))
		if err != nil {
			return err
		}
		var lines []byte
		var last jetstream.Msg
		next := stored
		for m := range batch.Messages() {
			meta, err := m.Metadata()
			if err != nil {
				return err
			}
			if meta.Sequence.Consumer != turn {
				return errGap
			}
			turn++
			last, next = m, int64(meta.Sequence.Stream)+1
			lines = appendRecord(lines, m.Data())
		}
		if last == nil {
			if err := batch.Error(); err != nil && ctx.Err() == nil {
				return err
			}
			continue
		}
		if err := insist(ctx, n.To, Delivery{
			Tenant: n.Tenant, Principal: "nats", Source: n.Source, Format: n.Format,
			Mark: &tokenwatch.Mark{Input: input, Offset: next},
		}, lines); err != nil {
			return err
		}
		stored = next
		if err := last.DoubleAck(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}
