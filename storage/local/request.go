package local

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/history"
)

// request is what is kept of a request with a key: enough to answer it again.
type request struct {
	digest  [32]byte
	time    int64 // wall clock of the append, ns
	receipt tokenwatch.Receipt
}

var errRequest = errors.New("not a request record")

// append appends the encoding: digest, then time, offset, rows as varints, then
// the rejects as JSON, or nothing if there are none.
func (r *request) append(b []byte) ([]byte, error) {
	b = append(b, r.digest[:]...)
	b = binary.AppendVarint(b, r.time)
	b = binary.AppendUvarint(b, uint64(r.receipt.Offset))
	b = binary.AppendUvarint(b, uint64(r.receipt.Rows))
	if len(r.receipt.Rejects) == 0 {
		return b, nil
	}
	rejects, err := json.Marshal(r.receipt.Rejects)
	if err != nil {
		return nil, fmt.Errorf("encode rejects of a request: %w", err)
	}
	return append(b, rejects...), nil
}

func decodeRequest(b []byte) (request, error) {
	var r request
	if len(b) < len(r.digest) {
		return r, errRequest
	}
	b = b[copy(r.digest[:], b):]
	n, size := binary.Varint(b)
	if size <= 0 {
		return r, errRequest
	}
	r.time, b = n, b[size:]
	offset, size := binary.Uvarint(b)
	if size <= 0 {
		return r, errRequest
	}
	b = b[size:]
	rows, size := binary.Uvarint(b)
	if size <= 0 || rows > 1<<31-1 {
		return r, errRequest
	}
	b = b[size:]
	r.receipt.Offset, r.receipt.Rows = tokenwatch.Offset(offset), int(rows)
	if len(b) > 0 {
		if err := json.Unmarshal(b, &r.receipt.Rejects); err != nil {
			return r, errRequest
		}
	}
	return r, nil
}

// recall returns what is kept of an earlier request with the key of r, nil if
// there is none.
func (g *group) recall(tenant string, r *tokenwatch.Request) (*request, error) {
	if r.Key == "" {
		return nil, nil
	}
	key := requestKey(tenant, requestHash(r))
	if known, ok := g.requests[string(key)]; ok {
		return known, nil
	}
	b, err := get(g.s.db, key)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, classify("request", err)
	}
	known, err := decodeRequest(b)
	if err != nil {
		return nil, damaged("request", err)
	}
	return &known, nil
}

// repeat answers a request whose key is known: as the first one, or with a
// conflict, which the history keeps.
func (g *group) repeat(tenant string, known *request, r *tokenwatch.Request) tokenwatch.Receipt {
	if known.digest != r.Digest {
		g.leaf(tenant, r.Principal, &history.Conflict{
			Offset: uint64(known.receipt.Offset), Stored: known.digest, Refused: r.Digest,
		})
		return tokenwatch.Receipt{Conflict: true}
	}
	receipt := known.receipt
	receipt.Duplicate = true
	return receipt
}

// remember keeps what is needed to answer a request again.
func (g *group) remember(tenant string, r *tokenwatch.Request, receipt tokenwatch.Receipt) error {
	if r.Key == "" {
		return nil
	}
	kept := &request{digest: r.Digest, time: g.now.UnixNano(), receipt: receipt}
	value, err := kept.append(nil)
	if err != nil {
		return err
	}
	hash := requestHash(r)
	key := requestKey(tenant, hash)
	g.set(key, value)
	g.set(expiryKey(kept.time, tenant, hash), nil)
	g.requests[string(key)] = kept
	g.commit.Keys++
	return nil
}

// expiryBatch is how many requests a commit forgets at most beyond twice those
// it adds, so that forgetting keeps up and never holds up a commit for long.
const expiryBatch = 64

// expire forgets requests beyond the horizon and the bound, oldest first.
func (g *group) expire() {
	limit := uint64(g.s.cfg.MaxKeys)
	if g.commit.Keys <= limit && g.now.Before(g.w.expires) {
		return
	}
	it, err := g.s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{keyExpiry}, UpperBound: []byte{keyExpiry + 1}})
	if err != nil {
		g.failed = errors.Join(g.failed, err)
		return
	}
	horizon := g.now.Add(-g.s.cfg.Horizon)
	g.w.expires = g.now.Add(g.s.cfg.Horizon)
	budget := expiryBatch + 2*len(g.requests)
	for ok := it.First(); ok; ok = it.Next() {
		key := it.Key()
		at := time.Unix(0, int64(number(key[:9])))
		if g.commit.Keys <= limit && at.After(horizon) || budget == 0 {
			g.w.expires = at.Add(g.s.cfg.Horizon)
			break
		}
		g.delete(append([]byte{keyRequest}, key[9:]...))
		g.delete(append([]byte(nil), key...))
		g.commit.Keys--
		budget--
	}
	g.failed = errors.Join(g.failed, it.Error(), it.Close())
}
