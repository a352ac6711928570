package tokenwatch

import (
	"errors"

	"github.com/fxamacker/cbor/v2"
)

// What a link says of two tokens.
const (
	LinkSame    = "same"    // they are one
	LinkFollows = "follows" // B is what A was rotated to
	LinkApart   = "apart"   // they are two, whatever was said before
)

// Link is the body of a control record of kind [ControlLink]: somebody, or a rule,
// says how two tokens belong together. It holds from its place in the log on,
// until another one about the same two tokens says otherwise.
type Link struct {
	A          TokenID `cbor:"1,keyasint" json:"a"`
	B          TokenID `cbor:"2,keyasint" json:"b"`
	Kind       string  `cbor:"3,keyasint" json:"kind"`
	Confidence int     `cbor:"4,keyasint" json:"confidence"` // in hundredths
	By         string  `cbor:"5,keyasint" json:"by"`         // id of the API key, or of what derived it
	Reason     string  `cbor:"6,keyasint,omitempty" json:"reason,omitempty"`
}

// Check tells whether the link is one that can be kept.
func (l *Link) Check() error {
	switch {
	case l.A == "" || l.B == "" || l.A == l.B:
		return errors.New("a link is between two tokens")
	case l.Kind != LinkSame && l.Kind != LinkFollows && l.Kind != LinkApart:
		return errors.New("a link is same, follows or apart")
	case l.Confidence < 0 || l.Confidence > 100:
		return errors.New("confidence is 0 to 100")
	}
	return nil
}

// Control returns the control record of a link.
func (l *Link) Control() *Control { return &Control{ControlLink, encodeBody(l)} }

// DecodeLink reads the body of a control record of kind link.
func DecodeLink(body []byte) (Link, error) {
	var l Link
	if cbor.Unmarshal(body, &l) != nil {
		return l, errors.New("not a link")
	}
	return l, l.Check()
}
