package history

import "errors"

// Tick states where the chains of its tenant stand (or, without a tenant, those
// about all tenants), so that silence differs from deletion. [Log.Stage] fills
// in Chains; the tick's own chain is as it was before it.
type Tick struct {
	Chains []ChainHead `cbor:"1,keyasint,omitempty"` // in order of kind
}

// ChainHead is the newest leaf of one tenant and kind, and how many there are.
type ChainHead struct {
	_     struct{} `cbor:",toarray"`
	Kind  Kind
	Last  uint64 // index
	Count uint64 // from 1
}

// Kind returns KindTick.
func (*Tick) Kind() Kind { return KindTick }

func (t *Tick) check() error {
	for i, c := range t.Chains {
		if c.Count == 0 || i > 0 && c.Kind <= t.Chains[i-1].Kind {
			return errors.New("chains are empty, repeat or are not in order")
		}
	}
	return nil
}
