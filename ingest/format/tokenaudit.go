package format

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/ingest/normalize"
)

// tokenAudit reads the trail of whatever issues tokens: JSON objects that say what
// became of which token. What was done is the action; who did it is the actor;
// the token that it was done to is no token of the row but the subject of a
// fact, so that an administrator's deeds are not taken for the token's use.
//
// The fields, each also with a capital, in camelCase, and below token., key.,
// credential., target., object., data., details. or payload.:
//
//	type, event, event_type, action       what was done: token.created, api_key.revoked, scope.changed …
//	ts, time, timestamp …                 when, as in format json
//	actor                                 who did it; token:ID is a token
//	token_id, credential_id               the id of the token over all its secrets
//	key_id, api_key_id, pat_id, jti, accessor, access_key_id
//	key_prefix, key_sha256, key           names of the secret, or itself; old_… and previous_… are those before a rotation
//	owner, token_type, app, env, name     as their names say; new_owner too
//	scopes, added, removed                a list or words
//	expires, overlap_until, until         times; a created token that has no expires has no end
//	repo, file, url, location             where a leaked secret was found
//
// Everything else is as in format json.
type tokenAudit struct {
	walker
}

func newTokenAudit(c Config) (Parser, error) {
	p := &tokenAudit{walker: newWalker(tokenAuditRules)}
	p.mapping = c.Mapping
	return p, nil
}

// trailField is a field of an audit record that is understood together with others.
type trailField uint8

const (
	trailType trailField = iota + 1
	trailLineage
	trailProviderID
	trailAccessKey
	trailJTI
	trailAccessor
	trailPrefix
	trailDigest
	trailSecret
	trailOwner
	trailUser
	trailLabel
	trailTokenType
	trailApp
	trailEnv
	trailScopes
	trailAdded
	trailRemoved
	trailOldScopes
	trailExpires
	trailUntil
	trailRepo
	trailFile
	trailURL
	trailBefore trailField = 64 // added to a name: it is that of the token before
)

type trailValue struct {
	field trailField
	value []byte
}

// tokenAuditNames are the fields by name, without what may stand before it.
var tokenAuditNames = map[trailField][]string{
	trailLineage:    {"token_id", "credential_id", "token_uid", "credential_uid"},
	trailProviderID: {"key_id", "api_key_id", "pat_id", "access_token_id"},
	trailAccessKey:  {"access_key_id"},
	trailJTI:        {"jti"},
	trailAccessor:   {"accessor", "token_accessor"},
	trailPrefix:     {"key_prefix", "token_prefix", "api_key_prefix", "secret_prefix", "credential_prefix", "pat_prefix"},
	trailDigest: {"key_sha256", "token_sha256", "api_key_sha256", "secret_sha256", "credential_sha256", "hashed_token", "token_hash", "key_hash", "api_key_hash",
		"sha256", "secret_hash"},
	trailSecret:    {"key", "token", "api_key", "secret", "access_token", "credential", "token_value", "secret_value", "key_value"},
	trailOwner:     {"owner", "owner_id", "owner_name", "owner_email", "new_owner", "token_owner"},
	trailUser:      {"user", "username", "user_name", "employee", "user_id", "email"},
	trailLabel:     {"name", "token_name", "key_name", "label"},
	trailTokenType: {"token_type", "key_type", "credential_type"},
	trailApp:       {"app", "application", "project"},
	trailEnv:       {"env", "environment"},
	trailScopes:    {"scopes", "scope", "permissions", "new_scopes", "granted_scopes", "token_scopes"},
	trailAdded:     {"added", "added_scopes", "scopes_added", "granted", "permissions_added", "added_permissions"},
	trailRemoved:   {"removed", "removed_scopes", "scopes_removed", "permissions_removed", "removed_permissions"},
	trailOldScopes: {"old_scopes", "previous_scopes", "old_permissions"},
	trailExpires:   {"expires", "expires_at", "expiry", "expiration", "expire_time", "expires_on", "valid_until", "not_after", "expiration_date", "expiry_date"},
	trailUntil:     {"overlap_until", "until", "grace_until", "old_valid_until", "checkout_until", "lease_until"},
	trailRepo:      {"repo", "repository"},
	trailFile:      {"file", "file_path", "filename"},
	trailURL:       {"location", "url", "html_url", "found_at", "leak_url"},
}

// typeNames are the fields that may say what was done, best first.
var typeNames = [...]string{"type", "event_type", "event", "action", "event_name", "operation", "event.type", "event.action", "event.name"}

// tokenAuditRules are the rules of format json, with these before them.
var tokenAuditRules = func() map[string]rule {
	m := make(map[string]rule, len(jsonRules))
	for path, r := range jsonRules {
		m[path] = r
	}
	for field, names := range tokenAuditNames {
		for _, name := range names {
			for _, below := range []string{"", "token.", "key.", "credential.", "target.", "object.", "data.", "details.", "payload.", "data.token.", "data.key."} {
				m[below+fold(name)] = rule{op: toTrail, trail: field}
			}
			if field <= trailSecret {
				for _, old := range []string{"old_", "previous_", "prev_", "replaced_", "rotated_from_", "old.", "previous."} {
					m[fold(old+name)] = rule{op: toTrail, trail: field + trailBefore}
				}
				for _, now := range []string{"new_", "new."} {
					m[fold(now+name)] = rule{op: toTrail, trail: field}
				}
			}
		}
	}
	for _, below := range []string{"token.", "key.", "credential.", "data.token.", "data.key."} {
		m[below+"id"] = rule{op: toTrail, trail: trailLineage}
		m[below+"type"] = rule{op: toTrail, trail: trailTokenType}
		m[below+"prefix"] = rule{op: toTrail, trail: trailPrefix}
		m[below+"owner"] = rule{op: toTrail, trail: trailOwner}
	}
	for _, name := range typeNames {
		m[fold(name)] = rule{op: toTrail, trail: trailType}
	}
	for _, name := range []string{"audit_id", "event_id", "id"} {
		m[fold(name)] = rule{op: toColumn, col: tokenwatch.ColRequestID}
	}
	return m
}()

// sniffTokenAudit looks for a type that says what became of a token; failing that
// for what audit trails have, of which other events may be part.
func sniffTokenAudit(record []byte) int {
	if firstByte(record) != '{' {
		return 0
	}
	typed := false
	for _, name := range typeNames[:6] {
		v := stringOf(record, name)
		if v == nil {
			continue
		}
		if kindOfFact(v) != "" {
			return 75
		}
		typed = true
	}
	if typed && (bytes.Contains(record, []byte(`"actor"`)) || bytes.Contains(record, []byte(`"audit_id"`))) {
		return 58
	}
	return 0
}

// stringOf returns the text of a member of an object, as written; nil if there
// is none that looks so.
func stringOf(record []byte, name string) []byte {
	var quoted [32]byte
	key := append(append(append(quoted[:0], '"'), name...), '"')
	i := bytes.Index(record, key)
	if i < 0 {
		return nil
	}
	rest := bytes.TrimLeft(record[i+len(key):], " \t")
	if len(rest) == 0 || rest[0] != ':' {
		return nil
	}
	rest = bytes.TrimLeft(rest[1:], " \t")
	if len(rest) == 0 || rest[0] != '"' {
		return nil
	}
	if i = bytes.IndexByte(rest[1:], '"'); i < 0 {
		return nil
	}
	return rest[1 : 1+i]
}

// Parse fills row from an object.
func (p *tokenAudit) Parse(record []byte, row *tokenwatch.Row) error {
	if err := p.read(record, row); err != nil {
		return err
	}
	p.complete()
	return p.finish()
}

// value returns the first value of a field, nil if there is none.
func (p *tokenAudit) value(f trailField) []byte {
	for i := range p.trail {
		if p.trail[i].field == f {
			return p.trail[i].value
		}
	}
	return nil
}

// complete makes the fact of what was read, and puts back what no fact took.
func (p *tokenAudit) complete() {
	row := p.row
	var kind tokenwatch.FactKind
	for i := range p.trail {
		v := &p.trail[i]
		if v.field != trailType {
			continue
		}
		k := kindOfFact(v.value)
		if !row.Has(tokenwatch.ColAction) || kind == "" && k != "" {
			row.SetText(tokenwatch.ColAction, v.value)
		} else {
			row.AddAttr(row.Keep("type"), v.value)
		}
		if kind == "" {
			kind = k
		}
	}
	user := p.value(trailUser)
	if kind != tokenwatch.FactOwnerLeft {
		setOnce(row, tokenwatch.ColActor, user)
	}
	if kind == "" {
		p.asEvent()
		return
	}
	f := row.AddFact(kind)
	p.subject(f)
	f.Lineage = p.value(trailLineage)
	if f.Lineage == nil {
		f.Lineage = p.value(trailLineage + trailBefore)
	}
	f.Owner = p.value(trailOwner)
	if f.Owner == nil && kind == tokenwatch.FactOwnerLeft {
		f.Owner = user
	}
	f.Label, f.TokenType, f.App, f.Env = p.value(trailLabel), p.value(trailTokenType), p.value(trailApp), p.value(trailEnv)
	p.scopes(f)
	p.times(f)
	p.place(f)
	setOnce(row, tokenwatch.ColResource, f.Lineage)
	row.SetString(tokenwatch.ColActionClass, "credential")
}

// asEvent treats the fields of a record that tells no fact as format json does.
func (p *tokenAudit) asEvent() {
	row := p.row
	for i := range p.trail {
		v := &p.trail[i]
		switch v.field {
		case trailType, trailUser:
		case trailLineage, trailProviderID:
			row.AddName(tokenwatch.NameProviderID, "", v.value)
		case trailApp:
			setOnce(row, tokenwatch.ColService, v.value)
		case trailEnv:
			setOnce(row, tokenwatch.ColEnv, v.value)
		case trailScopes:
			setOnce(row, tokenwatch.ColScope, v.value)
		case trailSecret:
			if !masked(v.value) {
				row.AddCredential("token", v.value)
			}
		case trailSecret + trailBefore:
			row.AddIncidental("key", v.value)
		case trailPrefix:
			row.AddName(tokenwatch.NamePrefix, "", v.value)
		case trailDigest:
			addDigest(row, v.value)
		case trailURL:
			setURL(row, v.value)
		default:
			row.AddAttr(row.Keep(tokenAuditNames[v.field&^trailBefore][0]), v.value)
		}
	}
}

// subject gives the fact its token's names and secret, and those of the token
// before.
func (p *tokenAudit) subject(f *tokenwatch.RowFact) {
	row := p.row
	for i := range p.trail {
		v := p.trail[i]
		names, secret := &f.Subject, &f.Secret
		if v.field >= trailBefore {
			names, secret = &f.Previous, &f.PreviousSecret
		}
		add := func(kind tokenwatch.NameKind, issuer string) {
			*names = append(*names, tokenwatch.Name{Kind: kind, Issuer: issuer, Value: v.value})
		}
		switch v.field &^ trailBefore {
		case trailProviderID:
			add(tokenwatch.NameProviderID, "")
		case trailAccessKey:
			add(tokenwatch.NameAccessKeyID, "aws")
		case trailJTI:
			add(tokenwatch.NameJTI, "")
		case trailAccessor:
			add(tokenwatch.NameAccessor, "")
		case trailPrefix:
			add(tokenwatch.NamePrefix, "")
		case trailDigest:
			if kind, ok := digestKind(v.value); ok {
				add(kind, "")
			}
		case trailSecret:
			if *secret == 0 && !masked(v.value) {
				row.AddIncidental("key", v.value)
				*secret = len(row.Credentials)
			}
		}
	}
}

func (p *tokenAudit) scopes(f *tokenwatch.RowFact) {
	var old [][]byte
	for i := range p.trail {
		switch v := p.trail[i]; v.field {
		case trailScopes, trailAdded:
			f.Scopes = p.split(f.Scopes, v.value)
		case trailRemoved:
			f.Removed = p.split(f.Removed, v.value)
		case trailOldScopes:
			old = p.split(old, v.value)
		}
	}
	if old == nil {
		return
	}
	now := f.Scopes
	f.Scopes = f.Scopes[:0:0]
	for _, s := range now {
		if !holds(old, s) {
			f.Scopes = append(f.Scopes, s)
		}
	}
	for _, s := range old {
		if !holds(now, s) {
			f.Removed = append(f.Removed, s)
		}
	}
}

// split adds the words of a list to another.
func (p *tokenAudit) split(to [][]byte, list []byte) [][]byte {
	return append(to, bytes.FieldsFunc(list, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' })...)
}

func holds(list [][]byte, s []byte) bool {
	for _, t := range list {
		if bytes.Equal(s, t) {
			return true
		}
	}
	return false
}

func (p *tokenAudit) times(f *tokenwatch.RowFact) {
	if f.Kind == tokenwatch.FactCreated {
		f.Expires = tokenwatch.Never
	}
	if ns, ok := normalize.ParseTime(p.value(trailExpires)); ok && ns > 0 {
		f.Expires = ns
	}
	if ns, ok := normalize.ParseTime(p.value(trailUntil)); ok {
		f.Until = ns
	}
}

// place says where a leaked secret was found; the parts stay attrs.
func (p *tokenAudit) place(f *tokenwatch.RowFact) {
	row := p.row
	repo, file, url := p.value(trailRepo), p.value(trailFile), p.value(trailURL)
	if f.Kind != tokenwatch.FactLeaked && url != nil && !row.Has(tokenwatch.ColPath) {
		setURL(row, url)
		url = nil
	}
	for _, part := range []struct {
		key   string
		value []byte
	}{{"repo", repo}, {"file", file}, {"url", url}} {
		if part.value != nil {
			row.AddAttr(row.Keep(part.key), part.value)
		}
	}
	switch {
	case repo != nil && file != nil:
		f.Place = row.Build(func(b []byte) []byte { return append(append(append(b, repo...), '/'), file...) })
	case repo != nil:
		f.Place = repo
	case url != nil:
		f.Place = url
	default:
		f.Place = file
	}
}
