package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// Send posts a file of lines in requests of about chunk bytes, over conns
// connections. A rate of events per second above 0 is kept on the average; after,
// if given, is told of each request that was answered, and how long that took.
func Send(ctx context.Context, s *Server, file string, conns, chunk int, rate float64, after func(body []byte, took time.Duration)) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return sendLines(ctx, s, f, conns, chunk, rate, after)
}

func sendLines(ctx context.Context, s *Server, lines io.Reader, conns, chunk int, rate float64, after func(body []byte, took time.Duration)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	bodies := make(chan []byte)
	go func() {
		defer close(bodies)
		if err := cut(ctx, lines, chunk, rate, bodies); err != nil {
			cancel(err)
		}
	}()
	var wg sync.WaitGroup
	for range conns {
		wg.Go(func() {
			for body := range bodies {
				begin := time.Now()
				if err := post(ctx, s, body); err != nil {
					cancel(err)
					return
				}
				if after != nil {
					after(body, time.Since(begin))
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// cut reads the file and hands out pieces that end at a line break.
func cut(ctx context.Context, f io.Reader, chunk int, rate float64, bodies chan<- []byte) error {
	var rest []byte
	begin, sent := time.Now(), 0
	for {
		body := make([]byte, len(rest)+chunk)
		n := copy(body, rest)
		m, err := io.ReadFull(f, body[n:])
		body = body[:n+m]
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			return err
		}
		end := bytes.LastIndexByte(body, '\n') + 1
		rest = bytes.Clone(body[end:])
		if end > 0 {
			if rate > 0 {
				sent += bytes.Count(body[:end], []byte{'\n'})
				time.Sleep(time.Until(begin.Add(time.Duration(float64(sent) / rate * float64(time.Second)))))
			}
			select {
			case bodies <- body[:end]:
			case <-ctx.Done():
				return nil
			}
		}
		if err != nil {
			return nil
		}
	}
}

func post(ctx context.Context, s *Server, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/v1/ingest?format=json&source=bench", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.Key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("POST /v1/ingest: %s: %s", resp.Status, answer)
	}
	return err
}
