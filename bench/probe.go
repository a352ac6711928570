package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Latency is how long planted attacks took from the moment their request was
// sent until the finding about them was seen by a client that polls.
type Latency struct {
	Planted  int     `json:"planted"`
	Found    int     `json:"found"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	Max      float64 `json:"max_ms"`
	AtPerSec float64 `json:"at_events_per_second"`
	Reached  float64 `json:"rate_reached"`         // of the rate asked for, 1 is all of it
	Fastest  float64 `json:"of_events_per_second"` // what requests of that size reach unpaced
}

// probeChunk is how many bytes a request of the second and third day has at most: so many that the
// few which are on their way at once hold less of the day than events may come late. Of
// larger ones, each holding hours of a night, some overtook an attack's own by more than
// that, and what is so late is stored, but judged no more.
const probeChunk = 1 << 20

// probe sends a day at a rate and plants attacks between its requests: an actor
// never seen, doing 120 things that its peers never did, at the time the day has
// got to.
func probe(ctx context.Context, s *Server, day string, chunk int, rate float64, count int) (Latency, int, error) {
	var mu sync.Mutex
	var reached string                // greatest time of the events sent
	planted := map[string]time.Time{} // by actor of the attack
	found := map[string]time.Duration{}
	findings := 0
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	watched := make(chan error, 1)
	go func() {
		watched <- poll(ctx, s, func(entity string) {
			mu.Lock()
			defer mu.Unlock()
			findings++
			if at, ok := planted[entity]; ok {
				if _, ok := found[entity]; !ok {
					found[entity] = time.Since(at)
				}
			}
		})
	}()
	var attacks sync.WaitGroup
	var failed error
	next, begin, events := 0, time.Now(), 0
	err := Send(ctx, s, day, 4, min(chunk, probeChunk), rate, func(body []byte, _ time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		events += bytes.Count(body, []byte{'\n'})
		reached = max(reached, lastTime(body))
		if next >= count {
			return
		}
		name := fmt.Sprintf("probe-%d", next)
		next++
		planted[name] = time.Now()
		lines := attack(name, next, reached)
		attacks.Go(func() {
			if err := post(ctx, s, lines); err != nil {
				mu.Lock()
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
		})
	})
	took := time.Since(begin).Seconds()
	if err != nil {
		return Latency{}, 0, err
	}
	attacks.Wait()
	if err := errors.Join(failed, s.AwaitEngine(ctx)); err != nil {
		return Latency{}, 0, err
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		mu.Lock()
		all := len(found) == len(planted)
		mu.Unlock()
		if all {
			break
		}
	}
	stop()
	if err := <-watched; err != nil && !errors.Is(err, context.Canceled) {
		return Latency{}, 0, err
	}
	l := Latency{Planted: len(planted), Found: len(found), AtPerSec: float64(events) / took, Reached: float64(events) / took / rate}
	var ms []float64
	for _, d := range found {
		ms = append(ms, d.Seconds()*1000)
	}
	slices.Sort(ms)
	if len(ms) > 0 {
		l.P50, l.P99, l.Max = ms[len(ms)/2], ms[(len(ms)*99-1)/100], ms[len(ms)-1]
	}
	return l, findings, nil
}

// lastTime is the time of a request's last line.
func lastTime(body []byte) string {
	body = bytes.TrimSpace(body)
	var last struct{ Time string }
	json.Unmarshal(body[bytes.LastIndexByte(body, '\n')+1:], &last)
	return last.Time
}

// attack makes the lines of the n-th attack at a time. Each comes from a network of its
// own: attacks of one source are told as one.
func attack(name string, n int, at string) []byte {
	var out strings.Builder
	for i := range 120 {
		fmt.Fprintf(&out, `{"time":%q,"principal":%q,"src_ip":"198.%d.%d.9","user_agent":"evil/1.0","method":"DELETE","host":"admin.example.com","path":"/v1/secret%s/purge%c","status":200,"request_id":"%s-%d"}`+"\n",
			at, name, 18+n>>8&1, n&0xff, strings.Repeat("x", i/26+1), 'a'+i%26, name, i)
	}
	return []byte(out.String())
}

// poll follows the findings with a cursor and calls seen with the entity of each.
func poll(ctx context.Context, s *Server, seen func(entity string)) error {
	cursor := ""
	for ctx.Err() == nil {
		body, err := s.get(ctx, "/v1/findings:poll?wait=10s&cursor="+url.QueryEscape(cursor))
		if err != nil {
			return err
		}
		var page struct {
			Findings []struct{ Entity string }
			Cursor   string
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return err
		}
		for _, f := range page.Findings {
			seen(f.Entity)
		}
		cursor = page.Cursor
	}
	return nil
}
