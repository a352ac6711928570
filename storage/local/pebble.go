package local

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
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
		Cleaner:               remover{},
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) { logger.Errorf("background: %v", err) },
			DataCorruption: func(info pebble.DataCorruptionInfo) {
				s.stop(damaged("store", fmt.Errorf("file %s: %w", s.cfg.FS.PathBase(info.Path), info.Details)))
			},
		},
	}
	options.Experimental.SpanPolicyFunc = zstdSpan
	for i := range options.Levels {
		l := &options.Levels[i]
		l.FilterPolicy = bloom.FilterPolicy(10) // most look-ups are of new request keys
		l.BlockSize = blockSize
		l.Compression = func() *sstable.CompressionProfile { return &compression }
	}
	return pebble.Open(s.dbDir(), options)
}

// blockSize is how many bytes of keys and values, about, are compressed together. It
// is for the engine's records, the only ones that are many; a segment is larger.
const blockSize = 32 << 10

// compression is zstd, but only for the engine's records: see zstdSpan.
var compression = func() sstable.CompressionProfile {
	p := *sstable.BalancedCompression
	p.AdaptiveReductionCutoffPercent = 0
	return p
}()

// zstdSpan says where zstd pays: segments are compressed already, the rest is little,
// and an encoder takes megabytes.
func zstdSpan(from []byte) (p pebble.SpanPolicy, end []byte, err error) {
	p.PreferFastCompression = true
	switch records, after := []byte{keyRecord}, []byte{keyRecord + 1}; {
	case bytes.Compare(from, records) < 0:
		end = records
	case bytes.Compare(from, after) < 0:
		p.PreferFastCompression, end = false, after
	}
	return p, end, nil
}

// remover removes write-ahead logs as soon as they are of no use. Pebble would keep
// three to write over, which can be as large as all else: the engine's snapshot is
// one batch. It keeps none for a cleaner that wants to see what is in the files.
type remover struct {
	pebble.DeleteCleaner
	seesFiles
}

// seesFiles is embedded one deeper than what remover does.
type seesFiles struct{ pebble.ArchiveCleaner }

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
