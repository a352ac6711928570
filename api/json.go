package api

import (
	"bytes"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tokenwatch/tokenwatch/api/plain"
)

// marshaler is proto3 JSON with the names of the protos and every field shown,
// and with 64-bit integers as numbers: places and offsets stay far below 2^53,
// and so a finding over REST reads as tokenwatch.Finding does. Proto3 JSON takes
// both forms. Fields that are not known are an error. Characters that could steer a terminal or reorder text are
// written as escapes, since logs have them from anyone.
type marshaler struct {
	runtime.JSONPb
}

func newMarshaler() *marshaler {
	return &marshaler{runtime.JSONPb{
		MarshalOptions:   protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true},
		UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: false},
	}}
}

// Marshal returns v as JSON.
func (m *marshaler) Marshal(v any) ([]byte, error) {
	b, err := m.JSONPb.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode an answer: %w", err)
	}
	if message, ok := v.(proto.Message); ok {
		if b, err = unquote(b, message.ProtoReflect().Descriptor()); err != nil {
			return nil, fmt.Errorf("encode an answer: %w", err)
		}
	}
	return plain.JSON(b), nil
}

// unquote writes the 64-bit integers of a message as numbers.
func unquote(b []byte, d protoreflect.MessageDescriptor) ([]byte, error) {
	var out bytes.Buffer
	in, to := jsontext.NewDecoder(bytes.NewReader(b)), jsontext.NewEncoder(&out)
	if err := unquoteValue(in, to, d, false); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte{'\n'}), nil
}

// unquoteValue copies one value: a message of type d where that is known, and
// else, where wide is set, a string that is an integer.
func unquoteValue(in *jsontext.Decoder, to *jsontext.Encoder, d protoreflect.MessageDescriptor, wide bool) error {
	t, err := in.ReadToken()
	if err != nil {
		return err
	}
	kind := t.Kind()
	if kind == '"' && wide {
		return to.WriteValue(jsontext.Value(t.String()))
	}
	if err := to.WriteToken(t); err != nil || kind != '{' && kind != '[' {
		return err
	}
	for in.PeekKind() != kind+2 { // ] and } are two after [ and {
		field, fieldWide := d, wide
		if kind == '{' {
			name, err := in.ReadToken()
			if err != nil {
				return err
			}
			field, fieldWide = typeOf(d, name.String())
			if err := to.WriteToken(name); err != nil {
				return err
			}
		}
		if err := unquoteValue(in, to, field, fieldWide); err != nil {
			return err
		}
	}
	end, err := in.ReadToken()
	if err != nil {
		return err
	}
	return to.WriteToken(end)
}

// typeOf looks a field up: its message type, if it has one, and whether it is a
// 64-bit integer. What is within an Any is not known, and stays as it is.
func typeOf(d protoreflect.MessageDescriptor, name string) (protoreflect.MessageDescriptor, bool) {
	if d == nil {
		return nil, false
	}
	f := d.Fields().ByName(protoreflect.Name(name))
	if f == nil || f.IsMap() {
		return nil, false
	}
	switch f.Kind() {
	case protoreflect.MessageKind:
		return f.Message(), false
	case protoreflect.Int64Kind, protoreflect.Uint64Kind, protoreflect.Sint64Kind,
		protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return nil, true
	default:
		return nil, false
	}
}

// NewEncoder returns an encoder that ends each value with a line break.
func (m *marshaler) NewEncoder(w io.Writer) runtime.Encoder {
	return runtime.EncoderFunc(func(v any) error {
		b, err := m.Marshal(v)
		if err != nil {
			return err
		}
		_, err = w.Write(append(b, '\n'))
		return err
	})
}

// JSON returns a message as REST answers with it, in one line.
func JSON(m proto.Message) ([]byte, error) { return newMarshaler().Marshal(m) }
