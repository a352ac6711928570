package local

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// openDB opens Pebble with everything that matters set. Pebble panics when the
// file system fails at some points of making a store; that is an error as well.
func (s *Store) openDB(mustExist bool) (_ *pebble.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			cause, ok := r.(error)
			if !ok {
				panic(r)
			}
			err = fmt.Errorf("open pebble: %w", cause)
		}
	}()
	logger := pebbleLogger{s}
	options := &pebble.Options{
		FS:                    s.gate,
		FormatMajorVersion:    pebble.FormatNewest,
		Logger:                logger,
		CacheSize:             s.cfg.CacheSize,
		MemTableSize:          s.cfg.MemTableSize,
		L0CompactionThreshold: 4,
		ErrorIfNotExists:      mustExist,
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) { logger.Errorf("background: %v", err) },
			DataCorruption: func(info pebble.DataCorruptionInfo) {
				s.stop(damaged("store", fmt.Errorf("file %s: %w", s.cfg.FS.PathBase(info.Path), info.Details)))
			},
		},
	}
	for i := range options.Levels {
		options.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // most look-ups are of new request keys
	}
	return pebble.Open(s.dbDir(), options)
}

// flush writes what Pebble holds in memory to tables. It ends with the store: a
// flush that cannot write is tried again for ever.
func (s *Store) flush() error {
	done, err := s.db.AsyncFlush()
	if err != nil {
		return classify("store", err)
	}
	select {
	case <-done:
	case <-s.stopped:
	}
	return s.Err()
}

// pebbleLogger passes on what Pebble has to say.
type pebbleLogger struct{ s *Store }

func (l pebbleLogger) Infof(format string, args ...any) {
	l.s.cfg.Logger.Debug("pebble: " + fmt.Sprintf(format, args...))
}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.s.cfg.Logger.Error("pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf stops the store. It returns, as a library does not end its process;
// the gate has left the disk as it is.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	for _, a := range args {
		if cause, ok := a.(error); ok && errors.Is(cause, syscall.ENOSPC) {
			err = fmt.Errorf("%w: %w", err, syscall.ENOSPC)
		}
	}
	l.s.stop(classify("store", err))
}
