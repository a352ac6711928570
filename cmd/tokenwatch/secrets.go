package main

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tokenwatch/tokenwatch/ingest/seal"
	"github.com/tokenwatch/tokenwatch/storage/history"
)

// The files of a keys directory, besides the signer's state.
const (
	fingerprintFile = "fingerprint.key" // hexadecimal, and a check of it; whoever has it can guess weak credentials
	signingFile     = "signing.key"     // signs checkpoints of the history
	adminFile       = "admin.key"       // an API key of role admin
)

// secrets are the keys of one store. They live in a directory of their own,
// never in the store's: a backup of the data must not hold what unmasks them.
type secrets struct {
	dir     history.Dir
	seal    seal.Keys // fingerprints credentials
	engine  [32]byte  // keys finding ids and hashes
	cursor  []byte    // authenticates cursors
	signing *history.Key
	signer  *history.Signer
}

// errNoFingerprintKey: fingerprints made with another key would not join with
// those stored, and every token would look new.
var errNoFingerprintKey = errors.New("the store's fingerprint key is not there")

// openSecrets reads the keys of a store from a directory. With create it makes
// those that are missing: the fingerprint key last, so that where it is all are.
func openSecrets(path, storeID string, create bool, random io.Reader) (*secrets, error) {
	s := &secrets{dir: history.Dir{Path: path, Durable: true}}
	if err := s.private(); err != nil {
		return nil, err
	}
	if _, err := s.read(fingerprintFile); errors.Is(err, fs.ErrNotExist) {
		if !create {
			return nil, fmt.Errorf("%w: %s; restore it from where the keys are backed up, or give --keys",
				errNoFingerprintKey, filepath.Join(path, fingerprintFile))
		}
		if err := s.create(storeID, random); err != nil {
			return nil, fmt.Errorf("make keys in %s: %w", path, err)
		}
	}
	if err := s.load(storeID); err != nil {
		return nil, fmt.Errorf("read keys in %s: %w", path, err)
	}
	return s, nil
}

// adoptSecrets makes the keys of a restored store: its own, but for the
// fingerprint key, which is that of the store it was.
func adoptSecrets(path, storeID string, master []byte, random io.Reader) error {
	s := &secrets{dir: history.Dir{Path: path, Durable: true}}
	if err := s.private(); err != nil {
		return err
	}
	if _, err := s.read(fingerprintFile); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("there are keys in %s already", path))
	}
	if err := s.createWith(storeID, master, random); err != nil {
		return fmt.Errorf("make keys in %s: %w", path, err)
	}
	return nil
}

// create makes what is missing of a new store's keys.
func (s *secrets) create(storeID string, random io.Reader) error {
	return s.createWith(storeID, nil, random)
}

// createWith is create for a fingerprint key that there is already; nil: a new one.
func (s *secrets) createWith(storeID string, master []byte, random io.Reader) error {
	key, err := s.readSigning()
	if errors.Is(err, fs.ErrNotExist) {
		if key, err = history.NewKey(random, origin(storeID)); err != nil {
			return err
		}
		err = s.dir.WriteFile(signingFile, key.Encode())
	}
	if err != nil {
		return err
	}
	if _, err = history.OpenSigner(key, s.dir); errors.Is(err, fs.ErrNotExist) {
		_, err = history.NewSigner(key, s.dir)
	}
	if err != nil {
		return err
	}
	if master == nil {
		master = make([]byte, seal.KeySize)
		if _, err := io.ReadFull(random, master); err != nil {
			return fmt.Errorf("read random bytes: %w", err)
		}
	}
	check, err := keyCheck(master, storeID)
	if err != nil {
		return err
	}
	return s.dir.WriteFile(fingerprintFile, fmt.Appendf(nil, "%x %x\n", master, check))
}

// keyCheck is what stands behind a fingerprint key in its file: another key, be
// it of another store or one bit off, would make every token look new.
func keyCheck(master []byte, storeID string) ([]byte, error) {
	check, err := hkdf.Key(sha256.New, master, nil, "tokenwatch/check/v1/"+storeID, 8)
	if err != nil {
		return nil, fmt.Errorf("derive the key's check: %w", err)
	}
	return check, nil
}

// readFingerprint reads the fingerprint key.
func (s *secrets) readFingerprint(storeID string) ([]byte, error) {
	b, err := s.read(fingerprintFile)
	if err != nil {
		return nil, err
	}
	key, check, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	master, err := hex.DecodeString(key)
	if err != nil {
		return nil, fmt.Errorf("%s is not hexadecimal", fingerprintFile)
	}
	want, err := keyCheck(master, storeID)
	if err != nil {
		return nil, err
	}
	if check != hex.EncodeToString(want) {
		return nil, fmt.Errorf("%s is damaged or another store's: restore it from where the keys are backed up", fingerprintFile)
	}
	return master, nil
}

// load reads all keys and derives those that have no file.
func (s *secrets) load(storeID string) error {
	var err error
	if s.signing, err = s.readSigning(); err != nil {
		return err
	}
	if s.signing.Origin() != origin(storeID) {
		return fmt.Errorf("they belong to another store (%s), not to %s: give another --keys", s.signing.Origin(), origin(storeID))
	}
	master, err := s.readFingerprint(storeID)
	if err != nil {
		return err
	}
	if err := s.derive(master); err != nil {
		return err
	}
	s.signer, err = history.OpenSigner(s.signing, s.dir)
	return err
}

// derive makes the keys that follow from the fingerprint key.
func (s *secrets) derive(master []byte) (err error) {
	if s.seal, err = seal.NewKeys(master); err != nil {
		return err
	}
	engine, err := hkdf.Key(sha256.New, master, nil, "tokenwatch/engine/v1", 32)
	if err != nil {
		return fmt.Errorf("derive the engine's key: %w", err)
	}
	s.engine = [32]byte(engine)
	if s.cursor, err = hkdf.Key(sha256.New, master, nil, "tokenwatch/cursor/v1", 32); err != nil {
		return fmt.Errorf("derive the cursor key: %w", err)
	}
	return nil
}

// origin is the name of a store's history.
func origin(storeID string) string { return "tokenwatch/" + storeID }

// private makes the directory, or checks that nobody else can look into it.
func (s *secrets) private() error {
	if err := os.MkdirAll(s.dir.Path, 0o700); err != nil {
		return fmt.Errorf("make keys directory: %w", err)
	}
	return checkMode(s.dir.Path, 0o700)
}

// read reads a file that nobody else can.
func (s *secrets) read(name string) ([]byte, error) {
	b, err := s.dir.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return b, checkMode(filepath.Join(s.dir.Path, name), 0o600)
}

func (s *secrets) readSigning() (*history.Key, error) {
	b, err := s.read(signingFile)
	if err != nil {
		return nil, err
	}
	return history.DecodeKey(b)
}

// checkMode refuses what group or others may touch.
func checkMode(path string, want fs.FileMode) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s has mode %#o, others could read the keys: chmod %#o it", path, mode, want)
	}
	return nil
}

// adminPath is where the API key of the administrator is.
func (s *secrets) adminPath() string { return filepath.Join(s.dir.Path, adminFile) }

// keysDir returns where the keys of a store are: where the user says, else in
// the user's configuration.
func keysDir(c *console, given, data, storeID string) (string, error) {
	dir := given
	if dir == "" {
		base := c.getenv("XDG_CONFIG_HOME")
		if base == "" {
			home := c.getenv("HOME")
			if home == "" {
				return "", usage("no place for the keys: neither XDG_CONFIG_HOME nor HOME is set, so give --keys")
			}
			base = filepath.Join(home, ".config")
		}
		dir = filepath.Join(base, "tokenwatch", storeID)
	}
	inside, err := within(dir, data)
	if err != nil {
		return "", fmt.Errorf("find keys directory: %w", err)
	}
	if inside {
		return "", usage("the keys must not lie in the data directory: whoever copies the data would have both")
	}
	return dir, nil
}

// within tells whether a path, which need not exist, is dir or below it, with
// links resolved.
func within(path, dir string) (bool, error) {
	p, err := resolve(path)
	if err != nil {
		return false, err
	}
	d, err := resolve(dir)
	if err != nil {
		return false, err
	}
	return p == d || strings.HasPrefix(p, strings.TrimSuffix(d, string(filepath.Separator))+string(filepath.Separator)), nil
}

// resolve returns the real path of the part of path that exists, and the rest.
func resolve(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	rest := ""
	for {
		found, err := filepath.EvalSymlinks(abs)
		if err == nil {
			return filepath.Join(found, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) || filepath.Dir(abs) == abs {
			return "", err
		}
		rest = filepath.Join(filepath.Base(abs), rest)
		abs = filepath.Dir(abs)
	}
}
