package source

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// streamLog is a markedLog for several goroutines, which dies at random and tells
// when it has as many lines as wanted.
type streamLog struct {
	mu sync.Mutex
	markedLog
	kills  int
	want   int
	enough chan struct{}
	full   bool
}

func newStreamLog(want int) *streamLog {
	random := rand.New(rand.NewPCG(3, 4))
	l := &streamLog{want: want, enough: make(chan struct{}), markedLog: markedLog{marks: map[string]int64{}}}
	l.die = func() (bool, bool) {
		n := random.IntN(6)
		if n < 2 {
			l.kills++
		}
		return n == 0, n == 1
	}
	return l
}

func (l *streamLog) Ingest(ctx context.Context, d Delivery) (Answer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, err := l.markedLog.Ingest(ctx, d)
	if len(l.lines) >= l.want && !l.full {
		l.full = true
		close(l.enough)
	}
	return a, err
}

func (l *streamLog) Mark(ctx context.Context, tenant, source, input string) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.markedLog.Mark(ctx, tenant, source, input)
}

// untilAll runs a source, again after each death, until everything is stored; then
// every line must be there once.
func untilAll(t *testing.T, l *streamLog, run func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		for {
			err := run(ctx)
			if err == nil || !strings.Contains(err.Error(), "the request failed") {
				ended <- err
				return
			}
		}
	}()
	select {
	case <-l.enough:
	case err := <-ended:
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := slices.Sorted(slices.Values(l.lines))
	if n := len(lines); n != l.want || len(slices.Compact(lines)) != n {
		t.Errorf("%d lines are stored, %d different ones, of %d", n, len(slices.Compact(lines)), l.want)
	}
	t.Logf("%d records, %d kills: 0 lost, 0 twice", l.want, l.kills)
}

// TestKafka consumes two partitions; whatever dies, each record is stored once.
func TestKafka(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "logs"))
	must(t, err)
	defer cluster.Close()
	producer, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic("logs"), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	must(t, err)
	defer producer.Close()
	const all = 2000
	var records []*kgo.Record
	for i := range all {
		records = append(records, kgo.StringRecord(fmt.Sprintf("record\n%d\n", i)))
	}
	must(t, producer.ProduceSync(t.Context(), records...).FirstErr())
	l := newStreamLog(all)
	untilAll(t, l, func(ctx context.Context) error {
		return (&Kafka{Brokers: cluster.ListenAddrs(), Topics: []string{"logs"}, Batch: 50, To: l, Marks: l, Source: "k"}).Run(ctx)
	})
}

// TestNATS consumes a stream of JetStream; whatever dies, each message is stored
// once.
func TestNATS(t *testing.T) {
	ns, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true})
	must(t, err)
	ns.Start()
	defer func() { ns.Shutdown(); ns.WaitForShutdown() }()
	if !ns.ReadyForConnections(10 * time.Second) {
		t.Fatal("the broker does not start")
	}
	conn, err := nats.Connect(ns.ClientURL())
	must(t, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	must(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "LOGS", Subjects: []string{"logs.>"}})
	must(t, err)
	const all = 2000
	for i := range all {
		_, err := js.PublishAsync("logs.web", []byte(fmt.Sprintf("message %d", i)))
		must(t, err)
	}
	<-js.PublishAsyncComplete()
	l := newStreamLog(all)
	untilAll(t, l, func(ctx context.Context) error {
		return (&NATS{URL: ns.ClientURL(), Stream: "LOGS", Batch: 50, To: l, Marks: l, Source: "n"}).Run(ctx)
	})
}

// bucketOf answers as an S3 server does that has some objects. The first answer with
// each of them is cut off halfway, before its first byte or within.
func bucketOf(objects map[string][]byte) http.Handler {
	var mu sync.Mutex
	cut := map[string]bool{}
	first := func(key string) bool {
		mu.Lock()
		defer mu.Unlock()
		defer func() { cut[key] = true }()
		return !cut[key]
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if key != "" {
			body, ok := objects[key]
			if !ok {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("ETag", `"`+fmt.Sprint(len(body))+`"`)
			w.Header().Set("Last-Modified", "Tue, 24 Nov 2026 00:00:00 GMT")
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			if r.Method == http.MethodGet {
				if first(key) && !strings.Contains(key, "bad") {
					w.Write(body[:len(body)/2*(len(key)%2)])
					panic(http.ErrAbortHandler)
				}
				w.Write(body) // that the client has gone is no news
			}
			return
		}
		type content struct {
			Key, LastModified, ETag string
			Size                    int
		}
		var list struct {
			XMLName  xml.Name `xml:"ListBucketResult"`
			Name     string
			Contents []content
		}
		for key, body := range objects {
			if strings.HasPrefix(key, r.URL.Query().Get("prefix")) {
				list.Contents = append(list.Contents, content{key, "2026-11-24T00:00:00Z", fmt.Sprint(len(body)), len(body)})
			}
		}
		slices.SortFunc(list.Contents, func(a, b content) int { return strings.Compare(a.Key, b.Key) })
		b, err := xml.Marshal(list)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/xml")
		w.Write(b)
	})
}

// TestBucket takes in compressed objects once each, whatever dies; digests and what
// is damaged are left out.
func TestBucket(t *testing.T) {
	objects := map[string][]byte{
		"AWSLogs/1/CloudTrail-Digest/d.json.gz": compress(t, "gzip", []byte("no log\n")),
		"AWSLogs/1/CloudTrail/0bad.json.gz":     compress(t, "gzip", []byte("one\ntwo\n"))[:15],
		"AWSLogs/1/CloudTrail/empty":            nil,
		"other":                                 []byte("not this\n"),
	}
	const all = 60
	for i := range all {
		objects[fmt.Sprintf("AWSLogs/1/CloudTrail/%d.json.gz", i)] = compress(t, "gzip", []byte(fmt.Sprintf("object %d\n", i)))
	}
	s := httptest.NewServer(bucketOf(objects))
	defer s.Close()
	left := map[string]int{}
	l := newStreamLog(all)
	untilAll(t, l, func(ctx context.Context) error {
		return (&Bucket{
			Endpoint: strings.TrimPrefix(s.URL, "http://"), Insecure: true, Region: "eu-west-1", Bucket: "logs", Prefix: "AWSLogs/",
			AccessID: "id", Secret: "secret", Every: time.Millisecond, To: l, Marks: l, Source: "s",
			Left: func(tenant string, n int) { left[tenant] += n },
		}).Run(ctx)
	})
	if left[""] == 0 {
		t.Error("the damaged object is not counted")
	}
}

// noMarks is a log that has nothing yet.
type noMarks struct{}

func (noMarks) Mark(context.Context, string, string, string) (int64, error) { return 0, nil }

// TestBucketComesAgain: an object that did not come whole is fetched again at the
// next look; only what is damaged itself is left out.
func TestBucketComesAgain(t *testing.T) {
	objects := map[string][]byte{"0bad.gz": compress(t, "gzip", []byte("one\ntwo\n"))[:15]}
	for i := range 20 {
		objects[fmt.Sprintf("%d.gz", i)] = compress(t, "gzip", []byte(fmt.Sprintf("object %d\n", i)))
	}
	s := httptest.NewServer(bucketOf(objects))
	defer s.Close()
	to, left := &fakePipeline{}, 0
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b := &Bucket{
		Endpoint: strings.TrimPrefix(s.URL, "http://"), Insecure: true, Region: "eu-west-1", Bucket: "logs", AccessID: "id", Secret: "secret",
		Every: time.Millisecond, To: to, Marks: noMarks{}, Source: "s", Left: func(string, int) { left++ },
	}
	b.Now = time.Now
	done := make(chan error, 1)
	all := make(chan struct{})
	b.To = pipelineFunc(func(ctx context.Context, d Delivery) (Answer, error) {
		a, err := to.Ingest(ctx, d)
		if len(to.stored) == 20 {
			close(all)
		}
		return a, err
	})
	go func() { done <- b.Run(ctx) }()
	select {
	case <-all:
	case err := <-done:
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(to.stored) != 20 || left != 1 {
		t.Errorf("%d of 20 stored, %d left out", len(to.stored), left)
	}
}

type pipelineFunc func(context.Context, Delivery) (Answer, error)

func (f pipelineFunc) Ingest(ctx context.Context, d Delivery) (Answer, error) { return f(ctx, d) }

// TestInsistEnds: waiting for a store that takes nothing ends with the context.
func TestInsistEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := insist(ctx, &keeper{busy: 1 << 30}, Delivery{}, []byte("x\n"))
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
