package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// How a request to a target is bounded.
const (
	maxReply       = 64 << 10 // bytes of a reply that are read, and thrown away
	maxReplyHeader = 16 << 10
	maxRetryAfter  = time.Hour
)

// The reason codes of attempts that failed. They are all that is kept of one:
// neither address nor reply.
const (
	ReasonAddress  = "address_refused" // not one that may be reached
	ReasonDNS      = "name_not_found"
	ReasonConnect  = "not_connected"
	ReasonTLS      = "tls_failed"
	ReasonTimeout  = "timed_out"
	ReasonRedirect = "redirected" // redirects are not followed
	ReasonBusy     = "busy"       // the target asked to come again later
	ReasonStatus   = "refused"    // a status of 4xx: sending the same again is of little use
	ReasonServer   = "server_error"
	ReasonReply    = "bad_reply"
	ReasonInternal = "internal" // ours
)

// Failure is an attempt that did not deliver.
type Failure struct {
	Reason    string
	Permanent bool          // the same would fail again
	After     time.Duration // when the target wants to be asked again; 0 if it did not say
}

func (f *Failure) Error() string { return f.Reason }

// Client posts to targets within the bounds above and through the guard.
type Client struct {
	http *http.Client
}

// newClient returns a client; a transport of tests takes the place of the real
// one.
func newClient(guard *Guard, timeout time.Duration, transport http.RoundTripper) *Client {
	if transport == nil {
		dialer := &net.Dialer{Timeout: timeout, ControlContext: guard.control}
		transport = &http.Transport{
			DialContext:            dialer.DialContext,
			Proxy:                  nil, // a proxy would dial where the guard does not see it
			ForceAttemptHTTP2:      true,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    timeout,
			ResponseHeaderTimeout:  timeout,
			MaxResponseHeaderBytes: maxReplyHeader,
			DisableCompression:     true,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        time.Minute,
		}
	}
	return &Client{http: &http.Client{
		Transport:     transport,
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// post sends a body and returns nil if the target took it.
func (c *Client) post(ctx context.Context, url string, header http.Header, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return &Failure{Reason: ReasonInternal, Permanent: true}
	}
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("User-Agent", "tokenwatch")
	response, err := c.http.Do(r)
	if err != nil {
		return failureOf(err)
	}
	defer response.Body.Close()
	// A connection is used again only if its reply was read to its end.
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, maxReply)); err != nil && response.StatusCode < 300 {
		return failureOf(err)
	}
	return refusalOf(response)
}

// failureOf keeps of an error what kind it is: its text holds the URL.
func failureOf(err error) error {
	var (
		dns       *net.DNSError
		op        *net.OpError
		timeout   net.Error
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		hostname  x509.HostnameError
		record    tls.RecordHeaderError
		alert     tls.AlertError
		verify    *tls.CertificateVerificationError
	)
	switch {
	case errors.Is(err, errAddress):
		return &Failure{Reason: ReasonAddress}
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return &Failure{Reason: ReasonTimeout}
	case errors.As(err, &dns):
		return &Failure{Reason: ReasonDNS}
	case errors.As(err, &verify), errors.As(err, &authority), errors.As(err, &invalid), errors.As(err, &hostname),
		errors.As(err, &record), errors.As(err, &alert):
		return &Failure{Reason: ReasonTLS}
	case errors.As(err, &op) && op.Op == "dial":
		return &Failure{Reason: ReasonConnect}
	default:
		return &Failure{Reason: ReasonReply}
	}
}

// refusalOf tells what the status of a reply means.
func refusalOf(r *http.Response) error {
	after := time.Duration(0)
	if seconds, err := strconv.Atoi(r.Header.Get("Retry-After")); err == nil && seconds > 0 {
		after = min(time.Duration(min(seconds, 1<<20))*time.Second, maxRetryAfter)
	}
	switch code := r.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code >= 300 && code < 400:
		return &Failure{Reason: ReasonRedirect, Permanent: true}
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code == http.StatusTooEarly:
		return &Failure{Reason: ReasonBusy, After: after}
	case code >= 400 && code < 500:
		return &Failure{Reason: ReasonStatus, Permanent: true}
	default:
		return &Failure{Reason: ReasonServer, After: after}
	}
}
