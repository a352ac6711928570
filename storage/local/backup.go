package local

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage/history"
)

// Copy says what a backup or a restored store holds.
type Copy struct {
	StoreID string            `json:"store_id"`
	NewID   string            `json:"new_store_id,omitempty"` // of a restored store
	Last    tokenwatch.Offset `json:"last"`                   // newest entry
	Leaves  uint64            `json:"leaves"`                 // of the history
	Root    string            `json:"root"`                   // of its tree, base64
	Entries uint64            `json:"entries"`                // of the log, compared with the history
}

// Backup copies the store into a directory that does not exist, while it works
// on. What was acknowledged before is in it. It is good only after it was opened
// and all of it compared with its history; else it is an error, and what was
// written stays for inspection. Keys are not in it.
func (s *Store) Backup(ctx context.Context, dir string) (Copy, error) {
	fail := func(err error) (Copy, error) { return Copy{}, fmt.Errorf("backup: %w", err) }
	if err := s.Err(); err != nil {
		return fail(err)
	}
	if err := makeEmpty(s.cfg.FS, dir); err != nil {
		return fail(err)
	}
	s.mu.Lock()
	m := mark{Sequence: s.sequence, Last: uint64(s.last), Size: s.head.Size, Root: s.head.Root}
	s.mu.Unlock()
	// A merge must not take segments away between the tables and the index.
	s.merges.mu.Lock()
	err := s.db.Checkpoint(s.cfg.FS.PathJoin(dir, "db"), pebble.WithFlushedWAL())
	s.merges.mu.Unlock()
	if err != nil {
		return fail(classify("backup", err))
	}
	if err := createMark(s.cfg.FS, dir, m); err != nil {
		return fail(classify("backup", err))
	}
	if err := replaceFile(s.cfg.FS, dir, identityName, identity{formatVersion, s.id}.encode()); err != nil {
		return fail(classify("backup", err))
	}
	copied, err := s.inspect(ctx, dir)
	if err != nil {
		return fail(err)
	}
	return copied, nil
}

// inspect opens a copy and compares it with its history.
func (s *Store) inspect(ctx context.Context, dir string) (c Copy, err error) {
	cfg := s.cfg
	cfg.Dir, cfg.Signer, cfg.Ballast, cfg.AcceptLoss = dir, nil, -1, false
	copied, err := Open(cfg)
	if err != nil {
		return c, fmt.Errorf("open the copy: %w", err)
	}
	defer func() { err = errors.Join(err, copied.Close()) }()
	return copied.content(ctx)
}

// content compares a store with its history and says what it holds.
func (s *Store) content(ctx context.Context) (Copy, error) {
	entries, err := s.Verify(ctx)
	if err != nil {
		return Copy{}, err
	}
	head := s.Head()
	return Copy{StoreID: s.id, Last: s.Last(), Leaves: head.Size, Root: head.Root.String(), Entries: entries}, nil
}

// makeEmpty makes a directory, which must not hold anything.
func makeEmpty(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return classify("directory", err)
	}
	if len(names) > 0 {
		return fmt.Errorf("directory %s is not empty", dir)
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return classify("directory", err)
	}
	return nil
}

// Restore makes a store of a backup, in an empty directory cfg.Dir. All of it is
// compared with its history before. The store gets an id of its own, so that its
// history has another origin: nobody can take it for the one that went on after
// the backup. Its first leaf from then on says what it was restored from. It
// returns what was restored; StoreID is that of the backup.
func Restore(ctx context.Context, cfg Config, from string) (Copy, error) {
	fail := func(err error) (Copy, error) { return Copy{}, fmt.Errorf("restore: %w", err) }
	if err := cfg.fill(); err != nil {
		return fail(err)
	}
	if _, made, err := readIdentity(cfg.FS, from); err != nil || !made {
		return fail(errors.Join(err, fmt.Errorf("there is no backup in %s", from)))
	}
	if err := makeEmpty(cfg.FS, cfg.Dir); err != nil {
		return fail(err)
	}
	// The identity comes last: without it there is no store.
	if err := copyFiles(cfg.FS, from, cfg.Dir, markName); err != nil {
		return fail(err)
	}
	list, err := cfg.FS.List(cfg.FS.PathJoin(from, "db"))
	if err != nil {
		return fail(classify("backup", err))
	}
	if err := makeDirs(cfg.FS, cfg.Dir, cfg.FS.PathJoin(cfg.Dir, "db")); err != nil {
		return fail(classify("directory", err))
	}
	if err := copyFiles(cfg.FS, cfg.FS.PathJoin(from, "db"), cfg.FS.PathJoin(cfg.Dir, "db"), list...); err != nil {
		return fail(err)
	}
	if err := copyFiles(cfg.FS, from, cfg.Dir, identityName); err != nil {
		return fail(err)
	}
	copied, err := renew(ctx, cfg)
	if err != nil {
		return fail(err)
	}
	return copied, nil
}

// renew compares a copied store with its history, says in it that it was
// restored, and gives it another id.
func renew(ctx context.Context, cfg Config) (c Copy, err error) {
	cfg.Signer, cfg.AcceptLoss = nil, false
	s, err := Open(cfg)
	if err != nil {
		return c, fmt.Errorf("open the copy: %w", err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if c, err = s.content(ctx); err != nil {
		return c, err
	}
	id, err := randomHex(cfg.Rand, 16)
	if err != nil {
		return c, err
	}
	c.NewID = id
	meta := identity{formatVersion, id}.encode()
	err = s.do(ctx, 0, func(g *group) error {
		g.leaf("", "", &history.AdminAction{
			Verb: "store.restore", Object: history.Short("tokenwatch/" + c.StoreID),
			Detail: history.Short(fmt.Sprintf("size %d root %s log %d", c.Leaves, c.Root, c.Last)),
		})
		g.set([]byte{keyMeta}, append(append([]byte(nil), meta...), s.salt[:]...))
		return nil
	})
	if err != nil {
		return c, err
	}
	return c, classify("store identity", replaceFile(cfg.FS, cfg.Dir, identityName, meta))
}

// copyFiles copies files of one directory into another, synced.
func copyFiles(fs vfs.FS, from, to string, names ...string) error {
	for _, name := range names {
		if err := vfs.Copy(fs, fs.PathJoin(from, name), fs.PathJoin(to, name)); err != nil {
			return classify("backup", fmt.Errorf("copy %s: %w", name, err))
		}
	}
	return classify("directory", syncDir(fs, to))
}

// StoreID returns the id of the store or backup in a directory, "" if there is
// none.
func StoreID(fs vfs.FS, dir string) (string, error) {
	if fs == nil {
		fs = vfs.Default
	}
	known, made, err := readIdentity(fs, dir)
	if err != nil || !made {
		return "", err
	}
	return known.id, nil
}
