package source

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// errWire is a message that is no protobuf.
var errWire = errors.New("not a protobuf message")

// eachField calls f with each field of a protobuf message that holds bytes, and
// with number and value of those that hold a varint.
func eachField(b []byte, bytesOf func(n protowire.Number, v []byte) error, varint func(n protowire.Number, v uint64)) error {
	for len(b) > 0 {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return errWire
		}
		b = b[size:]
		switch kind {
		case protowire.BytesType:
			v, size := protowire.ConsumeBytes(b)
			if size < 0 {
				return errWire
			}
			b = b[size:]
			if err := bytesOf(n, v); err != nil {
				return err
			}
		case protowire.VarintType:
			v, size := protowire.ConsumeVarint(b)
			if size < 0 {
				return errWire
			}
			b = b[size:]
			varint(n, v)
		default:
			size := protowire.ConsumeFieldValue(n, kind, b)
			if size < 0 {
				return errWire
			}
			b = b[size:]
		}
	}
	return nil
}

func noVarint(protowire.Number, uint64) {}
