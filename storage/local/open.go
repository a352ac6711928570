package local

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/storage"
	"github.com/tokenwatch/tokenwatch/storage/block"
)

// Open opens the store in a directory, or makes one. A newer store is refused
// (ErrNewer) before anything is written. Proven loss is a *storage.Loss, damage
// a *storage.Corruption; with a watermark file that cannot be read loss can be
// neither proven nor ruled out, and that is damage too. Config.AcceptLoss opens
// in spite of loss and of a lost watermark.
//
// The order of making a store is: watermark, Pebble, identity. So a store whose
// identity is not there was not finished, unless its watermark says otherwise.
func Open(cfg Config) (_ *Store, err error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	known, made, err := readIdentity(cfg.FS, cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{
		cfg:      cfg,
		ballast:  ballast{cfg.FS, cfg.Dir, cfg.Ballast},
		decoder:  block.NewDecoder(),
		pins:     make(map[*func()]struct{}),
		opened:   openSegments{byID: make(map[uint64]*block.Merged)},
		waiting:  make(map[string]*waiting),
		stepped:  make(chan struct{}, 1),
		stopped:  make(chan struct{}),
		appended: make(chan struct{}),
		changed:  make(chan struct{}),
		closing:  make(chan struct{}),
	}
	s.gate = &gate{
		FS:   vfs.OnDiskFull(cfg.FS, s.diskFull),
		fail: func(err error) { s.stop(classify("write", err)) },
		full: func() { s.full.Store(true) },
	}
	s.merges.limits = cfg.limits
	s.queue.commit = s.commitWorks
	s.writer = writer{
		encoder:  block.NewEncoder(),
		decoder:  s.decoder,
		stampers: make(map[string]*storage.Stamper),
		dirty:    make(map[string]struct{}),
	}
	if err := s.open(known, made); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return s, nil
}

// open does what Open must undo if it fails.
func (s *Store) open(known identity, made bool) (err error) {
	cfg := &s.cfg
	m, missing, err := s.openMark(made)
	if err != nil {
		return err
	}
	if !made {
		if err := makeDirs(cfg.FS, cfg.Dir, s.dbDir()); err != nil {
			return classify("directory", err)
		}
		if missing {
			if err := createMark(cfg.FS, cfg.Dir, mark{}); err != nil {
				return classify("watermark", err)
			}
		}
	}
	if s.db, err = s.openDB(made && !cfg.AcceptLoss); err != nil {
		if made && errors.Is(err, pebble.ErrDBDoesNotExist) && m.Last > 0 {
			return &storage.Loss{First: 1, Last: tokenwatch.Offset(m.Last)}
		}
		var errno syscall.Errno
		if made && !errors.As(err, &errno) {
			return damaged("store", err) // files that belong together do not fit, or are missing
		}
		return classify("store", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.abandon())
		}
	}()
	s.gate.armed.Store(true) // from here on Pebble is not told of failed writes
	if err := s.identify(known, made); err != nil {
		return err
	}
	if err := s.recover(); err != nil {
		return err
	}
	if !made && s.writer.sequence > 0 {
		return damaged("store identity", errors.New("the file is missing"))
	}
	lost, err := s.compare(m, missing && made)
	if err != nil {
		return err
	}
	if !made {
		// Pebble protects its first write-ahead log less than the next ones.
		if err := s.flush(); err != nil {
			return err
		}
		if err := replaceFile(cfg.FS, cfg.Dir, identityName, identity{formatVersion, s.id}.encode()); err != nil {
			return classify("store identity", err)
		}
	}
	if cfg.Signer != nil {
		if s.signer, err = cfg.Signer(s.id); err != nil {
			return fmt.Errorf("signer: %w", err)
		}
	}
	if missing && made || lost != nil {
		if err := createMark(cfg.FS, cfg.Dir, s.mark()); err != nil {
			return classify("watermark", err)
		}
	}
	s.writer.markFile, err = s.gate.OpenReadWrite(s.path(markName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return classify("watermark", err)
	}
	if err := s.ballast.ensure(); err != nil {
		cfg.Logger.Warn("no ballast", "err", err)
	}
	if err := s.recoverMerges(); err != nil {
		return err
	}
	s.view = &view{snapshot: s.db.NewSnapshot(), refs: 1}
	if err := s.Err(); err != nil {
		return err
	}
	s.gate.lenient.Store(true)
	if lost != nil {
		return s.report(lost)
	}
	return nil
}

// abandon closes what a failed open had opened. That the disk is at fault is
// known by then.
func (s *Store) abandon() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.view != nil {
		s.release(s.view)
	}
	if s.writer.markFile != nil {
		s.writer.markFile.Close()
	}
	s.gate.frozen.Store(true)
	return s.closeDB()
}

func (s *Store) path(name string) string { return s.cfg.FS.PathJoin(s.cfg.Dir, name) }
func (s *Store) dbDir() string           { return s.path("db") }

// makeDirs makes the directory of the store and that of Pebble, and syncs the
// names of both.
func makeDirs(fs vfs.FS, dir, db string) error {
	if err := fs.MkdirAll(db, 0o700); err != nil {
		return err
	}
	if err := syncDir(fs, dir); err != nil {
		return err
	}
	parent, err := fs.OpenDir(fs.PathDir(dir))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}

// openMark reads the watermark; missing if there is none, or none that can be
// read and that is accepted.
func (s *Store) openMark(made bool) (m mark, missing bool, err error) {
	m, err = readMark(s.cfg.FS, s.cfg.Dir)
	switch {
	case err == nil && !made && m.Sequence > 0:
		return m, false, damaged("store identity", errors.New("the file is missing"))
	case err == nil:
		return m, false, nil
	case !made && errors.Is(err, os.ErrNotExist):
		return m, true, nil
	case !errors.Is(err, os.ErrNotExist) && !errors.Is(err, errNoMark):
		return m, false, classify("watermark", err)
	case s.cfg.AcceptLoss:
		return m, true, nil
	default:
		return m, false, damaged("watermark", errors.New("loss can be neither proven nor ruled out"))
	}
}

// identify checks whose store it is, or makes it somebody's.
func (s *Store) identify(known identity, made bool) error {
	b, err := get(s.db, []byte{keyMeta})
	if errors.Is(err, storage.ErrNotFound) {
		if made && !s.cfg.AcceptLoss {
			return damaged("store", errors.New("it does not say which store it is"))
		}
		if s.id = known.id; !made {
			if s.id, err = randomHex(s.cfg.Rand, 16); err != nil {
				return err
			}
		}
		if _, err := io.ReadFull(s.cfg.Rand, s.salt[:]); err != nil {
			return fmt.Errorf("read random bytes: %w", err)
		}
		meta := identity{formatVersion, s.id}.encode()
		return classify("store", s.db.Set([]byte{keyMeta}, append(meta, s.salt[:]...), pebble.Sync))
	}
	if err != nil {
		return classify("store", err)
	}
	n := len(b) - len(s.salt)
	if n < 0 {
		return damaged("store", errIdentity)
	}
	found, err := decodeIdentity(b[:n])
	if err != nil {
		return damaged("store", err)
	}
	if made && found != known {
		return damaged("store identity", errors.New("file and data are of different stores"))
	}
	s.id = found.id
	copy(s.salt[:], b[n:])
	return nil
}
