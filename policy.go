package tokenwatch

import (
	"errors"

	"github.com/fxamacker/cbor/v2"
)

// PolicyPacks is the body of a control record of kind [ControlPolicy]: the packs
// of policies and the Sigma rules that are in use from here on, whole, in place of
// all before.
type PolicyPacks struct {
	Packs [][]byte   `cbor:"1,keyasint"`           // YAML
	Rules []RuleFile `cbor:"2,keyasint,omitempty"` // Sigma
	// Placeholders are the values of %name% in rules with the modifier expand.
	Placeholders map[string][]string `cbor:"3,keyasint,omitempty"`
}

// RuleFile is a file of Sigma documents.
type RuleFile struct {
	_    struct{} `cbor:",toarray"`
	Name string   // for messages
	Text []byte   // YAML
}

// Control returns the control record of the packs.
func (p *PolicyPacks) Control() *Control { return &Control{ControlPolicy, encodeBody(p)} }

// DecodePolicyPacks reads the body of a control record of kind policy.
func DecodePolicyPacks(body []byte) (PolicyPacks, error) {
	var p PolicyPacks
	if cbor.Unmarshal(body, &p) != nil {
		return p, errors.New("not a record of policies")
	}
	return p, nil
}
