package api

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// Bounds of taking what is still sent with a request that was refused.
const (
	lingerBytes = 128 << 20
	lingerTime  = 10 * time.Second
	lingerPause = time.Second // a sender that pauses so long can read
)

// linger takes in and drops what a caller still sends with a request whose
// answer is an error. Most senders read an answer only when they have sent
// all: closed before that, they would see a broken connection instead of what
// they must not try again, and try again. Who is not done in time is cut off:
// net/http by itself would wait for small bodies as long as they take.
func linger(w http.ResponseWriter, r *http.Request, code int) {
	if r.ProtoMajor != 1 || r.Body == nil || r.Body == http.NoBody {
		return // over HTTP/2 the answer comes anyway
	}
	control := http.NewResponseController(w)
	// Who expects a word before sending waits for it; who was too slow had his time.
	if r.Header.Get("Expect") == "" && code != http.StatusRequestTimeout && drained(control, r.Body) {
		control.SetReadDeadline(time.Time{}) // net/http takes one that passes later for the caller's going
		return
	}
	w.Header().Set("Connection", "close")
	control.SetReadDeadline(time.Unix(1, 0)) // long past
}

// drained tells whether a body came to its end within the bounds.
func drained(control *http.ResponseController, body io.Reader) bool {
	end := time.Now().Add(lingerTime)
	buffer := make([]byte, 32<<10)
	for left := lingerBytes; left > 0; {
		next := time.Now().Add(lingerPause)
		if next.After(end) || control.SetReadDeadline(next) != nil {
			return false
		}
		n, err := io.ReadAtLeast(body, buffer, 1)
		if left -= n; err != nil {
			return errors.Is(err, io.EOF)
		}
	}
	return false
}
