package local

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/fxamacker/cbor/v2"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/history"
)

// wireControl is a control record in the log: a CBOR array.
type wireControl struct {
	_      struct{} `cbor:",toarray"`
	Kind   string
	Tenant string
	Time   int64 // wall clock of the append, ns
	Body   []byte
}

func encodeControl(e *tokenwatch.Entry) ([]byte, error) {
	b, err := cbor.Marshal(wireControl{
		Kind: string(e.Control.Kind), Tenant: e.Tenant, Time: e.Time.UnixNano(), Body: e.Control.Body,
	})
	if err != nil {
		return nil, fmt.Errorf("encode control record: %w", err)
	}
	return append([]byte{tagControl}, b...), nil
}

func decodeControl(b []byte) (tokenwatch.Entry, error) {
	var w wireControl
	if err := cbor.Unmarshal(b, &w); err != nil {
		return tokenwatch.Entry{}, errors.New("not a control record")
	}
	return tokenwatch.Entry{
		Tenant: w.Tenant, Time: fromNanos(w.Time),
		Control: &tokenwatch.Control{Kind: tokenwatch.ControlKind(w.Kind), Body: w.Body},
	}, nil
}

// control adds a control record to the log. A tick moves the watermarks of
// those tenants it concerns, and is restated in the history.
func (g *group) control(e tokenwatch.Entry) error {
	value, err := encodeControl(&e)
	if err != nil {
		return err
	}
	at := indexEntry{Control: true, Tenant: e.Tenant, Time: e.Time.UnixNano()}
	at.Leaf = g.leaf(e.Tenant, "", &history.Control{
		Offset: uint64(e.Offset), Record: history.Short(string(e.Control.Kind)),
		Digest: sha256.Sum256(value[1:]), Bytes: uint64(len(value) - 1),
	})
	g.put(e, value, &at)
	if e.Control.Kind != tokenwatch.ControlTick {
		return nil
	}
	if e.Tenant != "" {
		return g.tick(e.Tenant, e)
	}
	tenants, err := g.s.tenants()
	if err != nil {
		return err
	}
	for tenant := range g.greatest {
		tenants = append(tenants, tenant)
	}
	slices.Sort(tenants)
	for _, tenant := range slices.Compact(tenants) {
		if err := g.tick(tenant, e); err != nil {
			return err
		}
	}
	g.leaf("", "", &history.Tick{})
	g.ticked = true
	return nil
}

// tick lets a tick count for one tenant. Its stamper is not made for that: the
// watermark alone is enough.
func (g *group) tick(tenant string, e tokenwatch.Entry) error {
	t, err := g.tenant(tenant)
	if err != nil {
		return err
	}
	mark := storage.WatermarkAt(g.s.cfg.Lateness, t.time)
	if mark.Tick(e.Time) {
		t.time = mark.Greatest()
		g.set(tenanted(keyGreatest, tenant), t.encode())
		if _, ok := g.w.stampers[tenant]; ok {
			st, _ := g.touch(tenant)
			st.Tick(e.Time)
		}
	}
	_, before := g.w.dirty[tenant]
	_, now := g.dirty[tenant]
	if before || now || e.Tenant != "" {
		g.leaf(tenant, "", &history.Tick{})
		delete(g.dirty, tenant)
	}
	return nil
}
