package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/tokenwatch/tokenwatch"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
	"github.com/tokenwatch/tokenwatch/storage"
)

// client asks a server over REST.
type client struct {
	url, key string
	http     *http.Client
}

const (
	clientTimeout = 60 * time.Second
	maxReply      = 64 << 20
	pageSize      = "1000"
)

func newClient(server, key string) (*client, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usage("the server's URL must be http:// or https:// and a host")
	}
	return &client{
		url: strings.TrimSuffix(u.String(), "/"), key: key,
		http: &http.Client{
			Timeout: clientTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse // the key is for this server only
			},
		},
	}, nil
}

// call sends a request and reads its answer into out.
func (c *client) call(ctx context.Context, method, path string, query url.Values, in, out proto.Message) error {
	if in == nil {
		return c.send(ctx, method, path, query, nil, out)
	}
	b, err := protojson.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	return c.send(ctx, method, path, query, json.RawMessage(b), out)
}

// send is call with a body of which the fields that are there count.
func (c *client) send(ctx context.Context, method, path string, query url.Values, in any, out proto.Message) error {
	target := c.url + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+c.key)
	response, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
	if err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return refusal(response.StatusCode, b)
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, out); err != nil {
		return fmt.Errorf("read the server's answer of %d bytes: not what this version expects", len(b))
	}
	return nil
}

// refusal is the error that a server answered with.
func refusal(code int, b []byte) error {
	var status struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(b, &status) != nil || status.Message == "" {
		return fmt.Errorf("the server answered %d %s, and not as tokenwatch does: look at the URL", code, http.StatusText(code))
	}
	switch code {
	case http.StatusNotFound:
		return storage.ErrNotFound
	case http.StatusBadRequest:
		return usage("%s", status.Message)
	case http.StatusUnauthorized:
		return errors.New("the server does not know the API key: set TOKENWATCH_KEY")
	default:
		return fmt.Errorf("the server answered %d: %s", code, status.Message)
	}
}

// pages asks page by page until there is none. ask returns the next page's token.
func pages[T any](ask func(token string) ([]T, string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		token := ""
		for {
			list, next, err := ask(token)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range list {
				if !yield(item, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			token = next
		}
	}
}

func pageQuery(token string) url.Values {
	q := url.Values{"page_size": {pageSize}}
	if token != "" {
		q.Set("page_token", token)
	}
	return q
}

func (c *client) findings(ctx context.Context, filter, order string) iter.Seq2[tokenwatch.Finding, error] {
	return pages(func(token string) ([]tokenwatch.Finding, string, error) {
		var m pb.ListFindingsResponse
		if err := c.call(ctx, http.MethodGet, "/v1/findings", filterQuery(token, filter, order), nil, &m); err != nil {
			return nil, "", err
		}
		var list []tokenwatch.Finding
		for _, f := range m.GetFindings() {
			finding, err := v1.ToFinding(f)
			if err != nil {
				return nil, "", fmt.Errorf("read a finding: %w", err)
			}
			list = append(list, finding)
		}
		return list, m.GetNextPageToken(), nil
	})
}

func (c *client) finding(ctx context.Context, id string) (tokenwatch.Finding, error) {
	var m pb.Finding
	if err := c.call(ctx, http.MethodGet, "/v1/findings/"+url.PathEscape(id), nil, nil, &m); err != nil {
		return tokenwatch.Finding{}, err
	}
	return v1.ToFinding(&m)
}

func (c *client) rejects(ctx context.Context) iter.Seq2[storage.Rejected, error] {
	return pages(func(token string) ([]storage.Rejected, string, error) {
		var m pb.ListRejectsResponse
		if err := c.call(ctx, http.MethodGet, "/v1/rejects", pageQuery(token), nil, &m); err != nil {
			return nil, "", err
		}
		var list []storage.Rejected
		for _, r := range m.GetRejects() {
			record := r.GetRecord()
			list = append(list, storage.Rejected{
				Entry: tokenwatch.Offset(r.GetLogOffset()), Time: r.GetTime().AsTime(), Source: r.GetSource(),
				Reject: tokenwatch.Reject{
					Index: int(record.GetIndex()), Offset: record.GetOffset(), Length: record.GetLength(),
					Digest: record.GetDigest(), Reason: record.GetReason(), Detail: record.GetDetail(),
				},
			})
		}
		return list, m.GetNextPageToken(), nil
	})
}

func (c *client) createKey(ctx context.Context, role tokenwatch.Role, tenant string) (storage.APIKey, string, error) {
	var m pb.CreateKeyResponse
	in := &pb.CreateKeyRequest{Role: string(role), Tenant: tenant}
	if err := c.call(ctx, http.MethodPost, "/v1/keys", nil, in, &m); err != nil {
		return storage.APIKey{}, "", err
	}
	return keyOf(m.GetKey()), m.GetSecret(), nil
}

func (c *client) keys(ctx context.Context) iter.Seq2[storage.APIKey, error] {
	return pages(func(token string) ([]storage.APIKey, string, error) {
		var m pb.ListKeysResponse
		if err := c.call(ctx, http.MethodGet, "/v1/keys", pageQuery(token), nil, &m); err != nil {
			return nil, "", err
		}
		var list []storage.APIKey
		for _, k := range m.GetKeys() {
			list = append(list, keyOf(k))
		}
		return list, m.GetNextPageToken(), nil
	})
}

func (c *client) revokeKey(ctx context.Context, id string) (storage.APIKey, error) {
	var m pb.Key
	err := c.call(ctx, http.MethodPost, "/v1/keys/"+url.PathEscape(id)+":revoke", nil, nil, &m)
	return keyOf(&m), err
}

func keyOf(m *pb.Key) storage.APIKey {
	k := storage.APIKey{ID: m.GetId(), Tenant: m.GetTenant(), Role: m.GetRole(), Created: m.GetCreated().AsTime()}
	if m.GetRevoked() != nil {
		k.Revoked = m.GetRevoked().AsTime()
	}
	return k
}

func (c *client) close() error {
	c.http.CloseIdleConnections()
	return nil
}
