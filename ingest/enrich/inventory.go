package enrich

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

// Inventory is a list of tokens as whoever issues them knows them, not sealed:
// its texts may hold anything.
type Inventory struct {
	Tokens []Token
	Time   time.Time // as of when; zero if the file does not tell
	sum    [32]byte
	unused []int
}

// Token is one of them. Times are UTC nanoseconds; 0 is not told.
type Token struct {
	tokenwatch.InventoryToken // without keys
	Keys                      []Key
}

// Key is one secret of a token, by its names.
type Key struct {
	Names   []tokenwatch.Name
	Secret  []byte // nil unless the file holds the secret itself
	Created int64
}

// Summary says what was read.
func (v *Inventory) Summary() Summary {
	return Summary{tokenwatch.TableInventory, len(v.Tokens), v.sum, v.unused}
}

// ErrNoTokens says that a file is a table, but names no token.
var ErrNoTokens = errors.New("it holds no tokens")

// The fields of an inventory, and their other names.
var (
	lineageNames  = []string{"tokenid", "id", "credentialid", "tokenuid", "uid"}
	labelNames    = []string{"name", "label", "tokenname", "keyname", "description", "title"}
	ownerNames    = []string{"owner", "ownername", "owneremail", "user", "username"}
	statusNames   = []string{"ownerstatus", "ownerstate"}
	teamNames     = []string{"team", "group", "department", "ownerteam"}
	purposeNames  = []string{"purpose", "usage", "note"}
	appNames      = []string{"app", "application", "service", "project"}
	envNames      = []string{"env", "environment", "stage"}
	typeNames     = []string{"type", "tokentype", "kind", "credentialtype", "keytype"}
	grantNames    = []string{"scopes", "scope", "permissions", "grants"}
	sourceNames   = []string{"allowedcidrs", "allowednetworks", "allowedips", "ipallowlist", "networks", "cidrs", "iprestrictions"}
	createdNames  = []string{"created", "createdat", "creationdate", "createdate", "issued", "issuedat"}
	expiresNames  = []string{"expires", "expiresat", "expiry", "expiration", "expirationdate", "validuntil", "notafter", "expireson"}
	usedNames     = []string{"lastused", "lastusedat", "lastuseddate", "lastusedon", "lastactivity"}
	revokedNames  = []string{"revoked", "revokedat", "deletedat", "revokedon"}
	rotationNames = []string{"rotationdays", "rotatedays", "rotation", "rotationperioddays", "maxagedays"}
	rotatedNames  = []string{"rotated", "rotatedat", "lastrotated", "keycreated", "lastrotatedat"}
	asOfNames     = []string{"asof", "exported", "exportedat", "generated", "generatedat", "time", "timestamp"}

	keyPrefixNames = []string{"keyprefix", "prefix", "tokenprefix"}
	keyHashNames   = []string{"keysha256", "sha256", "tokensha256", "hash", "keyhash", "hashedtoken", "tokenhash"}
	keyIDNames     = []string{"keyid", "apikeyid", "patid", "providerid"}
	accessKeyNames = []string{"accesskeyid", "awsaccesskeyid"}
	jtiNames       = []string{"jti"}
	accessorNames  = []string{"accessor"}
	secretNames    = []string{"secret", "key", "token", "apikey", "value"}

	inventoryNames = set(lineageNames, labelNames, ownerNames, statusNames, teamNames, purposeNames, appNames, envNames, typeNames, grantNames, sourceNames,
		createdNames, expiresNames, usedNames, revokedNames, rotationNames, rotatedNames, keyPrefixNames, keyHashNames, keyIDNames, accessKeyNames, jtiNames,
		accessorNames, secretNames)
)

// ParseInventory reads an inventory: a JSON list of tokens, an object with such
// a list under tokens, or CSV with a line of names. A token has at least an id or
// a name of its secret; secrets in turn are a list of keys, each with prefix,
// sha256 and created, or stand among the fields of the token.
func ParseInventory(data []byte) (*Inventory, error) {
	v := &Inventory{sum: digest(data)}
	var err error
	if t := bytes.TrimLeft(data, " \t\r\n"); len(t) > 0 && (t[0] == '[' || t[0] == '{') {
		err = v.addJSON(t)
	} else {
		err = v.addCSV(data)
	}
	if err == nil && len(v.Tokens) == 0 {
		err = ErrNoTokens
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// record is a line or an object of an inventory.
type record interface {
	// text returns the first of the fields that has a value.
	text(names ...string) string
	// list returns the values of the first of the fields that has any.
	list(names ...string) []string
	// knows tells whether there is one of the fields, if without a value.
	knows(names ...string) bool
}

func (v *Inventory) addCSV(data []byte) error {
	s, err := newSheet(data, inventoryNames, nil)
	if err != nil {
		return err
	}
	v.unused = s.unused
	for {
		more, err := s.next()
		if err != nil || !more {
			return err
		}
		t, err := tokenOf(s)
		if err == nil {
			err = t.addKey(s, t.Created)
		}
		if err == nil {
			err = v.add(t)
		}
		if err != nil {
			return wrong(s.at(), "%w", err)
		}
	}
}

func (s *sheet) text(names ...string) string { return s.get(names...) }
func (s *sheet) knows(names ...string) bool  { return s.has(names...) }
func (s *sheet) list(names ...string) []string {
	return strings.FieldsFunc(s.get(names...), func(r rune) bool { return r == ' ' || r == ';' || r == '|' || r == ',' })
}

func (v *Inventory) addJSON(data []byte) error {
	items, err := listOf(data, "tokens", "items", "keys", "credentials", "inventory")
	if err != nil {
		return err
	}
	if o, err := objectOf(data); err == nil {
		if ns, err := timeOf(o, asOfNames...); err == nil && ns > 0 {
			v.Time = time.Unix(0, ns).UTC()
		}
	}
	for i, item := range items {
		if err := v.addItem(item); err != nil {
			return wrongItem(i, err)
		}
	}
	return nil
}

func (v *Inventory) addItem(item json.RawMessage) error {
	o, err := objectOf(item)
	if err != nil {
		return err
	}
	t, err := tokenOf(o)
	if err != nil {
		return err
	}
	var keys []json.RawMessage
	if raw, ok := o["keys"]; ok && json.Unmarshal(raw, &keys) != nil {
		return errors.New("its keys are no list")
	}
	for _, raw := range keys {
		k, err := objectOf(raw)
		if err == nil {
			err = t.addKey(k, t.Created)
		}
		if err != nil {
			return err
		}
	}
	delete(o, "keys")
	if len(keys) == 0 {
		if err := t.addKey(o, t.Created); err != nil {
			return err
		}
	}
	return v.add(t)
}

func (o object) knows(names ...string) bool {
	for _, n := range names {
		if _, ok := o[n]; ok {
			return true
		}
	}
	return false
}

func (o object) list(names ...string) []string {
	for _, n := range names {
		var many []string
		if json.Unmarshal(o[n], &many) == nil && len(many) > 0 {
			return many
		}
	}
	return strings.FieldsFunc(o.text(names...), func(r rune) bool { return r == ' ' || r == ',' })
}

var errNoName = errors.New("the token has neither an id nor a name of its secret")

func (v *Inventory) add(t Token) error {
	if t.Lineage == "" && len(t.Keys) == 0 {
		return errNoName
	}
	v.Tokens = append(v.Tokens, t)
	return nil
}

func tokenOf(r record) (t Token, err error) {
	t.Lineage, t.Label, t.Owner, t.Team = r.text(lineageNames...), r.text(labelNames...), r.text(ownerNames...), r.text(teamNames...)
	t.Purpose, t.App, t.Env, t.TokenType = r.text(purposeNames...), r.text(appNames...), r.text(envNames...), r.text(typeNames...)
	switch plain(r.text(statusNames...)) {
	case "left", "inactive", "departed", "gone", "terminated", "disabled", "offboarded":
		t.OwnerLeft = true
	}
	t.Scopes = r.list(grantNames...)
	for _, text := range r.list(sourceNames...) {
		p, err := ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			return t, err
		}
		t.Networks = append(t.Networks, p.String())
	}
	for _, at := range []struct {
		to    *int64
		names []string
		what  string
	}{{&t.Created, createdNames, "created"}, {&t.Expires, expiresNames, "expires"}, {&t.LastUsed, usedNames, "last used"}, {&t.Revoked, revokedNames, "revoked"}} {
		if *at.to, err = timeOf(r, at.names...); err != nil {
			return t, errors.New(at.what + " is no time")
		}
	}
	if t.Expires == 0 && r.knows(expiresNames...) {
		t.Expires = tokenwatch.Never // the field is there, and empty
	}
	if days := r.text(rotationNames...); days != "" {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > 36500 {
			return t, errors.New("rotation days is no number of days")
		}
		t.RotationDays = n
	}
	return t, nil
}

// timeOf reads a time; 0 if the field is not there, empty or says that there is
// none.
func timeOf(r record, names ...string) (int64, error) {
	text := r.text(names...)
	switch plain(text) {
	case "", "never", "none", "null", "na", "0", "false":
		return 0, nil
	}
	if ns, ok := normalize.ParseTime([]byte(text)); ok && ns > 0 {
		return ns, nil
	}
	return 0, errors.New("no time")
}

// addKey adds a secret of the token by the names that a record has of it, if any.
func (t *Token) addKey(r record, created int64) error {
	k := Key{Created: created}
	if at, err := timeOf(r, append(rotatedNames, createdNames...)...); err != nil {
		return errors.New("when its key was created is no time")
	} else if at > 0 {
		k.Created = at
	}
	for _, n := range []struct {
		kind   tokenwatch.NameKind
		issuer string
		names  []string
	}{
		{tokenwatch.NameFullHash, "", keyHashNames}, {tokenwatch.NameProviderID, "", keyIDNames}, {tokenwatch.NameAccessKeyID, "aws", accessKeyNames},
		{tokenwatch.NameJTI, "", jtiNames}, {tokenwatch.NameAccessor, "", accessorNames}, {tokenwatch.NamePrefix, "", keyPrefixNames},
	} {
		if v := r.text(n.names...); v != "" {
			k.Names = append(k.Names, tokenwatch.Name{Kind: n.kind, Issuer: n.issuer, Value: []byte(v)})
		}
	}
	if v := r.text(secretNames...); v != "" {
		k.Secret = []byte(v)
	}
	if len(k.Names) > 0 || k.Secret != nil {
		t.Keys = append(t.Keys, k)
	}
	return nil
}
