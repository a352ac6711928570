package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/tlog"
)

// The watermark file says what was acknowledged, apart from Pebble: it is
// written and synced after each group commit and before any answer goes out.
// So a log that comes back shorter, which Pebble takes for a torn tail, is
// noticed. Two slots are written in turn; they lie in different 4 KiB pages, so
// that a torn write can hurt only the one that was not acknowledged yet.
//
//	┌─────────────┬────────────┬───────────────┬──────────────────┬───────────┬────────────┬─────────┬──────────────┐
//	│ "twmark" 6b │ version 2b │ sequence <8b> │ last offset <8b> │ size <8b> │ root <32b> │ 0 <444b>│ CRC-32C <4b> │
//	└─────────────┴────────────┴───────────────┴──────────────────┴───────────┴────────────┴─────────┴──────────────┘
//
// 512 bytes a slot, numbers big endian, the checksum over all before it. Slot
// sequence mod 2 lies at byte 0 or 4096.
const (
	slotSize   = 512
	slotStride = 4096
	markName   = "watermark"
	markMagic  = "twmark\x00\x01"
)

// mark is what one slot says.
type mark struct {
	Sequence uint64 // of the group commit
	Last     uint64 // offset of the newest entry of the log
	Size     uint64 // leaves of the history
	Root     tlog.Hash
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errNoMark: neither slot can be read.
var errNoMark = errors.New("no slot of the watermark file can be read")

func (m *mark) encode() []byte {
	b := make([]byte, 0, slotSize)
	b = append(b, markMagic...)
	b = binary.BigEndian.AppendUint64(b, m.Sequence)
	b = binary.BigEndian.AppendUint64(b, m.Last)
	b = binary.BigEndian.AppendUint64(b, m.Size)
	b = append(b, m.Root[:]...)
	b = b[:slotSize-4]
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeMark(b []byte) (mark, bool) {
	if len(b) != slotSize || string(b[:8]) != markMagic ||
		crc32.Checksum(b[:slotSize-4], castagnoli) != binary.BigEndian.Uint32(b[slotSize-4:]) {
		return mark{}, false
	}
	return mark{
		Sequence: binary.BigEndian.Uint64(b[8:]),
		Last:     binary.BigEndian.Uint64(b[16:]),
		Size:     binary.BigEndian.Uint64(b[24:]),
		Root:     tlog.Hash(b[32:64]),
	}, true
}

// readMark returns the newer slot of the watermark file. The error is
// errNoMark if both are damaged, or that of the file system.
func readMark(fs vfs.FS, dir string) (mark, error) {
	f, err := fs.Open(fs.PathJoin(dir, markName))
	if err != nil {
		return mark{}, err
	}
	defer f.Close()
	var best mark
	found := false
	for i := range 2 {
		b := make([]byte, slotSize)
		if _, err := f.ReadAt(b, int64(i)*slotStride); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				continue
			}
			return mark{}, fmt.Errorf("read watermark: %w", err)
		}
		if m, ok := decodeMark(b); ok && m.Sequence%2 == uint64(i) && (!found || m.Sequence > best.Sequence) {
			best, found = m, true
		}
	}
	if !found {
		return mark{}, errNoMark
	}
	return best, nil
}

// createMark makes the file, synced with its name. Both slots hold m, one of
// them as the sequence before.
func createMark(fs vfs.FS, dir string, m mark) error {
	slots := make([]byte, slotStride+slotSize)
	copy(slots[slotStride*(m.Sequence%2):], m.encode())
	if m.Sequence > 0 {
		before := m
		before.Sequence--
		copy(slots[slotStride*(before.Sequence%2):], before.encode())
	}
	return replaceFile(fs, dir, markName, slots)
}

// writeMark writes and syncs the slot whose turn it is.
func writeMark(f vfs.File, m mark) error {
	if _, err := f.WriteAt(m.encode(), int64(m.Sequence%2)*slotStride); err != nil {
		return fmt.Errorf("write watermark: %w", err)
	}
	if err := f.SyncData(); err != nil {
		return fmt.Errorf("sync watermark: %w", err)
	}
	return nil
}

// replaceFile puts a file in place whole, or not at all.
func replaceFile(fs vfs.FS, dir, name string, content []byte) error {
	path := fs.PathJoin(dir, name)
	f, err := fs.Create(path+".new", vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = fs.Rename(path+".new", path)
	}
	if err == nil {
		err = syncDir(fs, dir)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
