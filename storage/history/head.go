package history

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Head is where a history stands.
type Head struct {
	Size  uint64    // how many leaves there are
	Root  tlog.Hash // of the tree over them
	Time  time.Time // of the last leaf
	Clock uint64    // clock epoch of the last leaf; 0 if there is none
}

// Record is a key and a value that the caller stores for a [Log], under a
// prefix of its own, and gives back to [Open]. Their form is private to history.
type Record struct {
	Key, Value []byte
}

// The keys of records: "h" for the head, "c", tenant and kind for a chain.
const (
	headKey  = "h"
	chainTag = 'c'
)

type wireHead struct {
	_     struct{} `cbor:",toarray"`
	Size  uint64
	Root  Digest
	Time  int64 // UTC milliseconds since 1970
	Clock uint64
}

func (h Head) record() (Record, error) {
	b, err := encMode.Marshal(wireHead{Size: h.Size, Root: Digest(h.Root), Time: h.Time.UnixMilli(), Clock: h.Clock})
	if err != nil {
		return Record{}, fmt.Errorf("encode head of history: %w", err)
	}
	return Record{Key: []byte(headKey), Value: b}, nil
}

func decodeHead(b []byte) (Head, error) {
	var w wireHead
	if err := decMode.Unmarshal(b, &w); err != nil {
		return Head{}, fmt.Errorf("decode head of history: %w", redact(err))
	}
	return Head{Size: w.Size, Root: tlog.Hash(w.Root), Time: time.UnixMilli(w.Time).UTC(), Clock: w.Clock}, nil
}

func chainRecord(k chainKey, h ChainHead) (Record, error) {
	b, err := encMode.Marshal(h)
	if err != nil {
		return Record{}, fmt.Errorf("encode chain of history: %w", err)
	}
	key := append([]byte{chainTag}, k.tenant[:]...)
	return Record{Key: append(key, byte(k.kind)), Value: b}, nil
}

func decodeChain(r Record) (chainKey, ChainHead, error) {
	var (
		k chainKey
		h ChainHead
	)
	if len(r.Key) != 1+len(k.tenant)+1 || r.Key[0] != chainTag {
		return k, h, errors.New("decode chain of history: not a key of a chain")
	}
	copy(k.tenant[:], r.Key[1:])
	k.kind = Kind(r.Key[len(r.Key)-1])
	if err := decMode.Unmarshal(r.Value, &h); err != nil {
		return k, h, fmt.Errorf("decode chain of history: %w", redact(err))
	}
	if h.Kind != k.kind || h.Count == 0 {
		return k, h, errors.New("decode chain of history: does not fit its key")
	}
	return k, h, nil
}
