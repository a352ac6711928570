package window

import "github.com/fxamacker/cbor/v2"

// record is a window as it is stored: without the names of its fields, so that their
// order stays as it is.
type record struct {
	_        struct{} `cbor:",toarray"`
	Hour     int32
	Overflow bool
	Passing  bool
	Origins  []Origin
	Visitors []Visitor
	Own      *Own // nil: none
}

// MarshalCBOR encodes the window.
func (w *Window) MarshalCBOR() ([]byte, error) {
	r := record{Hour: w.Hour, Overflow: w.Overflow, Passing: w.Passing, Origins: w.Origins, Visitors: w.Visitors}
	if w.Own != none {
		r.Own = w.Own
	}
	return cbor.Marshal(&r)
}

// UnmarshalCBOR decodes a window. It is an error if b is not what MarshalCBOR made.
func (w *Window) UnmarshalCBOR(b []byte) error {
	var r record
	if err := cbor.Unmarshal(b, &r); err != nil {
		return err
	}
	*w = Window{Hour: r.Hour, Overflow: r.Overflow, Passing: r.Passing, Origins: r.Origins, Visitors: r.Visitors, Own: none}
	if r.Own != nil {
		w.Own = r.Own
	}
	return nil
}
