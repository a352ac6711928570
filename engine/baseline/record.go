package baseline

import "github.com/fxamacker/cbor/v2"

// record is a Usual as it is stored: without the names of its fields, so that their
// order stays as it is.
type record struct {
	_          struct{} `cbor:",toarray"`
	First      int32
	Last       int32
	Hours      uint32
	Origins    uint32
	Concurrent uint32
	Silent     uint16
	Shared     uint16
	Refused    uint16
	Today      Day
	Habits     *Habits // nil: none
}

// MarshalCBOR encodes the baseline.
func (u *Usual) MarshalCBOR() ([]byte, error) {
	r := record{
		First: u.First, Last: u.Last, Hours: u.Hours, Origins: u.Origins, Concurrent: u.Concurrent,
		Silent: u.Silent, Shared: u.Shared, Refused: u.Refused, Today: u.Today,
	}
	if u.Habits != none {
		r.Habits = u.Habits
	}
	return cbor.Marshal(&r)
}

// UnmarshalCBOR decodes a baseline. It is an error if b is not what MarshalCBOR made.
func (u *Usual) UnmarshalCBOR(b []byte) error {
	var r record
	if err := cbor.Unmarshal(b, &r); err != nil {
		return err
	}
	*u = Usual{
		First: r.First, Last: r.Last, Hours: r.Hours, Origins: r.Origins, Concurrent: r.Concurrent,
		Silent: r.Silent, Shared: r.Shared, Refused: r.Refused, Today: r.Today, Habits: none,
	}
	if r.Habits != nil {
		u.Habits = r.Habits
	}
	return nil
}
