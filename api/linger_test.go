package api

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// TestRefusalReachesSender: who sends all of a large body before reading gets
// the answer, not a broken connection, and may use the connection again.
func TestRefusalReachesSender(t *testing.T) {
	r := start(t, newFake(), nil)
	c, err := net.Dial("tcp", strings.TrimPrefix(r.http, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	const size = 8 << 20
	answers := bufio.NewReader(c)
	for range 2 {
		if _, err := fmt.Fprintf(c, "POST /v1/ingest HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer x\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size)); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusUnauthorized {
			t.Fatalf("%d %v", answer.StatusCode, err)
		}
	}
}

// TestRefusalDoesNotWait: who stops sending gets the answer all the same, and
// who goes on byte by byte is cut off, whatever length was announced.
func TestRefusalDoesNotWait(t *testing.T) {
	for _, size := range []int{100 << 10, 8 << 20} {
		r := start(t, newFake(), nil)
		c, err := net.Dial("tcp", strings.TrimPrefix(r.http, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(lingerTime))
		fmt.Fprintf(c, "POST /v1/ingest HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\nx", size)
		answers := bufio.NewReader(c)
		answer, err := http.ReadResponse(answers, nil)
		if err != nil || answer.StatusCode != http.StatusUnauthorized || !answer.Close {
			t.Fatalf("%v %v", answer, err)
		}
		io.Copy(io.Discard, answer.Body)
		if _, err := answers.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d bytes announced: the connection stays: %v", size, err)
		}
	}
}
