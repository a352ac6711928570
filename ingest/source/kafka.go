package source

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/tokenwatch/tokenwatch"
)

// Kafka consumes topics as a member of a group. How far a partition was read is
// stored with its records, in one write, and read from there after a restart; to
// the group it is committed after that. So every record is stored once, as long as
// the consumers of a group share one store.
type Kafka struct {
	Brokers []string
	Topics  []string
	Group   string // default tokenwatch
	TLS     *tls.Config
	User    string // of SASL; "": none
	Pass    string
	SCRAM   bool // SCRAM-SHA-512 rather than PLAIN
	To      Pipeline
	Marks   Marks
	Tenant  string
	Source  string
	Format  string       // default auto
	Batch   int          // records taken from the brokers at once, at most; default 20,000
	Logger  *slog.Logger // default: nothing is logged
}

// Run consumes until ctx ends.
func (k *Kafka) Run(ctx context.Context) error {
	if k.Group == "" {
		k.Group = "tokenwatch"
	}
	if k.Batch <= 0 {
		k.Batch = 20_000
	}
	if k.Logger == nil {
		k.Logger = slog.New(slog.DiscardHandler)
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(k.Brokers...), kgo.ConsumerGroup(k.Group), kgo.ConsumeTopics(k.Topics...),
		kgo.SessionTimeout(10 * time.Second), // a consumer that was killed is missed soon
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxBytes(16 << 20), kgo.AdjustFetchOffsetsFn(k.fromMarks),
	}
	if k.TLS != nil {
		options = append(options, kgo.DialTLSConfig(k.TLS))
	}
	switch {
	case k.User != "" && k.SCRAM:
		options = append(options, kgo.SASL(scram.Auth{User: k.User, Pass: k.Pass}.AsSha512Mechanism()))
	case k.User != "":
		options = append(options, kgo.SASL(plain.Auth{User: k.User, Pass: k.Pass}.AsMechanism()))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return fmt.Errorf("consume from Kafka: %w", err)
	}
	defer leave(client)
	for {
		fetches := client.PollRecords(ctx, k.Batch)
		if ctx.Err() != nil {
			return nil
		}
		fetches.EachError(func(topic string, partition int32, err error) {
			k.Logger.WarnContext(ctx, "Kafka: a partition cannot be read", "source", k.Source, "partition", partition, "error", err)
		})
		var failed error
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			if failed == nil && len(p.Records) > 0 {
				failed = k.take(ctx, client, p)
			}
		})
		client.AllowRebalance()
		if failed != nil {
			if ctx.Err() != nil {
				return nil
			}
			return failed
		}
	}
}

// leaveIn is how long a group may take to let us go.
const leaveIn = 3 * time.Second

// leave leaves the group, so that others need not wait until we are missed. A group
// that is waiting for somebody who is gone does not answer; then it will miss us too,
// and what is left of the client ends with its answer, or with the process.
func leave(client *kgo.Client) {
	left := make(chan struct{})
	go func() {
		defer close(left)
		client.CloseAllowingRebalance()
	}()
	timer := time.NewTimer(leaveIn)
	defer timer.Stop()
	select {
	case <-left:
	case <-timer.C:
	}
}

// take hands on the records of a partition.
func (k *Kafka) take(ctx context.Context, client *kgo.Client, p kgo.FetchTopicPartition) error {
	var lines []byte
	for _, r := range p.Records {
		lines = appendRecord(lines, r.Value)
	}
	last := p.Records[len(p.Records)-1]
	err := insist(ctx, k.To, Delivery{
		Tenant: k.Tenant, Principal: "kafka", Source: k.Source, Format: k.Format, Mark: kafkaMark(p.Topic, p.Partition, last.Offset+1),
	}, lines)
	if err != nil {
		return fmt.Errorf("take in records of Kafka: %w", err)
	}
	if err := client.CommitRecords(ctx, last); err != nil && !errors.Is(err, context.Canceled) {
		// The mark is what counts; the group's own offset is for others to see.
		k.Logger.WarnContext(ctx, "Kafka: an offset was not committed", "source", k.Source, "error", err)
	}
	return nil
}

// fromMarks starts partitions where the log ends.
func (k *Kafka) fromMarks(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	for topic, partitions := range offsets {
		for partition := range partitions {
			at, err := k.Marks.Mark(ctx, k.Tenant, k.Source, kafkaMark(topic, partition, 0).Input)
			if err != nil {
				return nil, fmt.Errorf("how far a partition was read: %w", err)
			}
			if at > 0 {
				partitions[partition] = kgo.NewOffset().At(at)
			}
		}
	}
	return offsets, nil
}

// kafkaMark says how far a partition is read.
func kafkaMark(topic string, partition int32, next int64) *tokenwatch.Mark {
	return &tokenwatch.Mark{Input: fmt.Sprintf("kafka:%s/%d", topic, partition), Offset: next}
}
