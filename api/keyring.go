package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tokenwatch/tokenwatch"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	"github.com/tokenwatch/tokenwatch/storage"
)

// keyring is the API keys in memory. It is the only one to change them while
// the server runs, and does so in the store first.
type keyring struct {
	store    storage.Keys
	history  recorder
	random   io.Reader
	now      func() time.Time
	operator string // tenant whose admins may make keys for others

	change sync.Mutex // held while the store is changed
	mu     sync.RWMutex
	keys   map[string]storage.APIKey // by id
	guest  string                    // id under which a key was lent to this process; see Local
}

// recorder is the part of the history that takes actions.
type recorder interface {
	Record(ctx context.Context, action storage.Action) (uint64, error)
}

// maxTenant is how many characters the name of a tenant may have.
const maxTenant = 64

// load reads the keys from the store.
func (k *keyring) load(ctx context.Context) error {
	keys := make(map[string]storage.APIKey)
	for key, err := range k.store.Keys(ctx) {
		if err != nil {
			return fmt.Errorf("read the API keys: %w", err)
		}
		keys[key.ID] = key
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys = keys
	return nil
}

// check returns whose key text is. It hashes and compares whatever is wrong
// with it, so that the time taken does not tell.
func (k *keyring) check(text string) (tokenwatch.Principal, bool) {
	id := keyID(text)
	hash := sha256.Sum256([]byte(text))
	k.mu.RLock()
	key, known := k.keys[id]
	k.mu.RUnlock()
	same := subtle.ConstantTimeCompare(hash[:], key.Hash[:]) == 1
	if !known || !same || !key.Revoked.IsZero() {
		return tokenwatch.Principal{}, false
	}
	return tokenwatch.Principal{ID: key.ID, Tenant: key.Tenant, Role: tokenwatch.Role(key.Role)}, true
}

// holds tells whether a key that was good once still is.
func (k *keyring) holds(id string) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	key, known := k.keys[id]
	return known && key.Revoked.IsZero()
}

// Create makes a key for the tenant of by, or for any if by runs the server.
func (k *keyring) Create(ctx context.Context, by tokenwatch.Principal, tenant string, role tokenwatch.Role) (storage.APIKey, string, error) {
	if !validRole(role) {
		return storage.APIKey{}, "", v1.Fail(tokenwatch.RefusedArgument, "role is ingest, analyst, auditor or admin", 0)
	}
	if !validTenant(tenant) {
		return storage.APIKey{}, "", v1.Fail(tokenwatch.RefusedArgument,
			"tenant is 1 to 64 of a-z, 0-9, - and _", 0)
	}
	if tenant != by.Tenant && by.Tenant != k.operator {
		if _, err := k.history.Record(ctx, denied(by, "keys.create for another tenant")); err != nil {
			return storage.APIKey{}, "", fmt.Errorf("record a refused key: %w", err)
		}
		return storage.APIKey{}, "", forbidden()
	}
	text, key, err := NewKey(k.random, tenant, role, k.now())
	if err != nil {
		return key, "", err
	}
	k.change.Lock()
	defer k.change.Unlock()
	action := storage.Action{
		Tenant: tenant, Actor: by.ID, Verb: "keys.create", Object: key.ID, Detail: "role " + string(role),
	}
	if err := k.put(ctx, key, action); err != nil {
		return key, "", err
	}
	return key, text, nil
}

// List returns the keys of by's tenant, all if by runs the server.
func (k *keyring) List(_ context.Context, by tokenwatch.Principal) ([]storage.APIKey, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	var out []storage.APIKey
	for _, key := range k.keys {
		if key.ID == k.guest && k.guest != "" {
			continue
		}
		if key.Tenant == by.Tenant || by.Tenant == k.operator {
			out = append(out, key)
		}
	}
	return out, nil
}

// Revoke ends a key: from its return on no request with it is let in, and
// streams opened with it end at their next message.
func (k *keyring) Revoke(ctx context.Context, by tokenwatch.Principal, id string) (storage.APIKey, error) {
	k.change.Lock()
	defer k.change.Unlock()
	k.mu.RLock()
	key, known := k.keys[id]
	k.mu.RUnlock()
	if !known || key.Tenant != by.Tenant && by.Tenant != k.operator {
		return storage.APIKey{}, storage.ErrNotFound
	}
	if !key.Revoked.IsZero() {
		return key, nil
	}
	key.Revoked = k.now().UTC()
	action := storage.Action{Tenant: key.Tenant, Actor: by.ID, Verb: "keys.revoke", Object: key.ID}
	return key, k.put(ctx, key, action)
}

// put changes the store, whose history comes first, and then the memory.
func (k *keyring) put(ctx context.Context, key storage.APIKey, by storage.Action) error {
	if err := k.store.PutKey(ctx, key, by); err != nil {
		return fmt.Errorf("store API key %s: %w", key.ID, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[key.ID] = key
	return nil
}

// validTenant keeps the names of tenants to what can stand in a key, a label
// and a file name.
func validTenant(s string) bool {
	if s == "" || len(s) > maxTenant {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
