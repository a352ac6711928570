package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"syscall"
	"time"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/history"
	"github.com/tokenwatch/tokenwatch/storage/local"
)

// site is an open store with the keys that belong to it.
type site struct {
	store   *local.Store
	secrets *secrets
}

// openSite opens a store and its keys, or makes both. A store that holds
// something and whose fingerprint key is missing is refused.
func openSite(ctx context.Context, c *console, cfg config, log *slog.Logger) (*site, error) {
	made, err := local.Exists(nil, cfg.Data)
	if err != nil {
		return nil, err
	}
	s, err := trySite(c, cfg, log, !made)
	if errors.Is(err, errNoFingerprintKey) {
		// A first start may have ended between making the store and its keys.
		empty, readErr := emptyStore(cfg)
		if readErr != nil {
			return nil, readErr
		}
		if empty {
			s, err = trySite(c, cfg, log, true)
		}
	}
	if err != nil {
		return nil, inUse(err)
	}
	if err := s.ensureAdmin(ctx, c); err != nil {
		return nil, errors.Join(fmt.Errorf("make the administrator's API key: %w", err), s.store.Close())
	}
	return s, nil
}

func trySite(c *console, cfg config, log *slog.Logger, create bool) (*site, error) {
	s := &site{}
	conf := cfg.store()
	conf.Clock, conf.Rand, conf.Logger = c.now, c.random, log
	conf.Signer = func(id string) (*history.Signer, error) {
		dir, err := keysDir(c, cfg.Keys, cfg.Data, id)
		if err != nil {
			return nil, err
		}
		if s.secrets, err = openSecrets(dir, id, create, c.random); err != nil {
			return nil, err
		}
		return s.secrets.signer, nil
	}
	var err error
	s.store, err = local.Open(conf)
	return s, err
}

// emptyStore tells whether nothing was ever stored.
func emptyStore(cfg config) (bool, error) {
	store, err := local.Open(cfg.store())
	if err != nil {
		return false, inUse(err)
	}
	empty := store.Last() == 0 && store.Head().Size == 0
	return empty, store.Close()
}

// openStopped opens a store that exists, to read it or to change its keys; its
// secrets stay where they are.
func openStopped(c *console, data string) (*local.Store, error) {
	made, err := local.Exists(nil, data)
	if err != nil {
		return nil, err
	}
	if !made {
		return nil, usage("there is no store in %s", data)
	}
	cfg := defaultConfig()
	cfg.Data = data
	conf := cfg.store()
	conf.Clock = c.now
	store, err := local.Open(conf)
	return store, inUse(err)
}

// errInUse: a store belongs to one process at a time.
var errInUse = errors.New("another process has the store: ask its server, with TOKENWATCH_URL and TOKENWATCH_KEY, or stop it")

// inUse says so when another process has the store.
func inUse(err error) error {
	if errors.Is(err, syscall.EAGAIN) {
		return &coded{exitError, errInUse}
	}
	return err
}

// ensureAdmin makes the API key of the administrator at first start. The file
// comes first: a key that only the store knew would be lost.
func (s *site) ensureAdmin(ctx context.Context, c *console) error {
	text, err := s.secrets.read(adminFile)
	var key storage.APIKey
	if errors.Is(err, fs.ErrNotExist) {
		var made string
		made, key, err = api.NewKey(c.random, tokenwatch.DefaultTenant, tokenwatch.RoleAdmin, c.now())
		if err != nil {
			return err
		}
		err = s.secrets.dir.WriteFile(adminFile, []byte(made+"\n"))
	} else if err == nil {
		key, err = adminKey(string(text), c.now())
	}
	if err != nil {
		return err
	}
	for known, err := range s.store.Keys(ctx) {
		if err != nil {
			return err
		}
		if known.ID == key.ID && known.Hash != key.Hash {
			return fmt.Errorf("%s is not the key that the store knows by its id: remove it and a new one is made", adminFile)
		}
		if known.ID == key.ID {
			return nil
		}
	}
	return s.store.PutKey(ctx, key, storage.Action{
		Tenant: key.Tenant, Actor: "tokenwatch", Verb: "keys.create", Object: key.ID, Detail: "role " + key.Role,
	})
}

// adminKey is the record of the key in the administrator's file.
func adminKey(file string, now time.Time) (storage.APIKey, error) {
	text := strings.TrimSpace(file)
	id, _, ok := strings.Cut(strings.TrimPrefix(text, api.KeyPrefix), "_")
	if !ok || id == "" || !strings.HasPrefix(text, api.KeyPrefix) {
		return storage.APIKey{}, fmt.Errorf("%s holds no API key: remove it and a new one is made", adminFile)
	}
	return storage.APIKey{
		ID: id, Hash: sha256.Sum256([]byte(text)), Tenant: tokenwatch.DefaultTenant,
		Role: string(tokenwatch.RoleAdmin), Created: now.UTC(),
	}, nil
}
