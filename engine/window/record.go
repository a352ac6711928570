package window

import (
	"github.com/fxamacker/cbor/v2"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/feature"
)

// record is a window as it is stored: without the names of its fields, so that their
// order stays as it is.
type record struct {
	_        struct{} `cbor:",toarray"`
	Hour     int32
	Events   uint32
	Bytes    uint64
	Overflow bool
	Passing  bool
	Faults   [feature.NumFaults]uint32
	Axes     [feature.NumAxes][]Value
	Wrong    []Fault
	Slots    []Slot
	Objects  Distinct
	Runs     []Run
	Origins  []Origin
	Visitors []Visitor
	Outside  uint32
	Stray    tokenwatch.EventRef
}

// MarshalCBOR encodes the window.
func (w *Window) MarshalCBOR() ([]byte, error) {
	return cbor.Marshal(record{
		Hour: w.Hour, Overflow: w.Overflow, Passing: w.Passing, Origins: w.Origins, Visitors: w.Visitors,
		Events: w.Events, Bytes: w.Bytes, Faults: w.Faults, Axes: w.Axes, Wrong: w.Wrong, Slots: w.Slots,
		Objects: w.Objects, Runs: w.Runs, Outside: w.Outside, Stray: w.Stray,
	})
}

// UnmarshalCBOR decodes a window. It is an error if b is not what MarshalCBOR made.
func (w *Window) UnmarshalCBOR(b []byte) error {
	var r record
	if err := cbor.Unmarshal(b, &r); err != nil {
		return err
	}
	*w = Window{Hour: r.Hour, Overflow: r.Overflow, Passing: r.Passing, Origins: r.Origins, Visitors: r.Visitors, Own: none}
	if r.Events > 0 || r.Outside > 0 {
		w.Own = &Own{
			Events: r.Events, Bytes: r.Bytes, Faults: r.Faults, Axes: r.Axes, Wrong: r.Wrong, Slots: r.Slots,
			Objects: r.Objects, Runs: r.Runs, Outside: r.Outside, Stray: r.Stray,
		}
	}
	return nil
}
