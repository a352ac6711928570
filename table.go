package tokenwatch

import (
	"errors"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// The tables there are.
const (
	TableNetworks  = "networks"  // what is known of addresses: rows carry it from their ingest on
	TableRoutes    = "routes"    // scope and risk of routes: likewise
	TableInventory = "inventory" // tokens, as whoever issues them knows them
)

// Table is the body of a control record of kind [ControlTable]: a table was
// loaded, and holds from here on. Of networks and routes the log keeps only which
// they were, since every row carries what they said of it.
type Table struct {
	Name    string    `cbor:"1,keyasint"`
	Entries int       `cbor:"2,keyasint"` // of the table as a whole
	Digest  [32]byte  `cbor:"3,keyasint"` // SHA-256 of the files it was read from
	Time    time.Time `cbor:"4,keyasint,omitzero"`
	Part    int       `cbor:"5,keyasint,omitempty"` // from 1, of an inventory that takes several records

	Tokens []InventoryToken `cbor:"6,keyasint,omitempty"`
	Names  []Naming         `cbor:"7,keyasint,omitempty"` // of the tokens' keys
}

// InventoryToken is one token of an imported inventory, sealed. Times are UTC
// nanoseconds; 0 is not told.
type InventoryToken struct {
	_            struct{} `cbor:",toarray"`
	Lineage      string   // id over all its secrets
	Label        string
	Owner        string
	OwnerLeft    bool
	Team         string
	Purpose      string
	App          string
	Env          string
	TokenType    string
	Scopes       []string
	Networks     []string // from which it may be used, as CIDR
	Created      int64
	Expires      int64 // or Never
	LastUsed     int64
	Revoked      int64
	RotationDays int
	Keys         []InventoryKey
}

// InventoryKey is one secret of such a token.
type InventoryKey struct {
	_       struct{} `cbor:",toarray"`
	Token   TokenID
	Created int64
}

// MaxTableTokens is how many tokens one record holds at most.
const MaxTableTokens = 2000

// Control returns the control record of a table.
func (t *Table) Control() *Control { return &Control{ControlTable, encodeBody(t)} }

// DecodeTable reads the body of a control record of kind table.
func DecodeTable(body []byte) (Table, error) {
	var t Table
	if cbor.Unmarshal(body, &t) != nil || t.Name == "" || len(t.Tokens) > MaxTableTokens {
		return t, errors.New("not a table")
	}
	return t, nil
}
