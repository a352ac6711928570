package history

import (
	"encoding/json"
	"fmt"
	"iter"

	"golang.org/x/mod/sumdb/tlog"
)

// Files is where an export is written to. Names are slash-separated; folders
// come with the files in them.
type Files interface {
	WriteFile(name string, data []byte) error
}

// Payload is the bytes of one log entry, as stored and as its segment or
// control leaf states them; or those of a merged segment, as its merge leaf does.
type Payload struct {
	Offset uint64 // in the log; 0 for a merged segment
	Leaf   uint64 // of a merged segment
	Bytes  []byte
}

// path is where in an export the payload lies.
func (p *Payload) path() string {
	if p.Offset == 0 {
		return MergedPath(p.Leaf)
	}
	return SegmentPath(p.Offset)
}

// Manifest says what is in an export. It is not signed: [Verify] does not rely
// on it.
type Manifest struct {
	Format   string `json:"format"` // ManifestFormat
	Origin   string `json:"origin"`
	Size     uint64 `json:"size"` // leaves
	Root     string `json:"root"` // base64
	Bundles  uint64 `json:"entry_bundles"`
	Tiles    uint64 `json:"hash_tiles"`
	Payloads uint64 `json:"segments"`
}

// ManifestFormat is the format of exports this package writes.
const ManifestFormat = "tokenwatch/history-export/v1"

// Export writes the history up to a checkpoint, signed by the key of vkey, and
// the payloads (nil for none). Equal histories and checkpoints give equal files.
// The checkpoint is written last, so that a broken export has none.
func Export(dst Files, signed []byte, vkey string, stored Reader, payloads iter.Seq2[Payload, error]) (Manifest, error) {
	c, err := OpenCheckpoint(signed, vkey)
	if err != nil {
		return Manifest{}, fmt.Errorf("export history: %w", err)
	}
	m := Manifest{Format: ManifestFormat, Origin: c.Origin, Size: c.Size, Root: c.Root.String()}
	if err := m.entries(dst, stored); err != nil {
		return m, fmt.Errorf("export history: %w", err)
	}
	for _, t := range tlog.NewTiles(tileHeight, 0, int64(c.Size)) {
		b, err := HashTile(t.L, uint64(t.N), t.W, stored)
		if err != nil {
			return m, fmt.Errorf("export history: read hashes: %w", err)
		}
		if err := dst.WriteFile(tilePath(t.L, uint64(t.N), t.W), b); err != nil {
			return m, fmt.Errorf("export history: %w", err)
		}
		m.Tiles++
	}
	if payloads != nil {
		for p, err := range payloads {
			if err != nil {
				return m, fmt.Errorf("export history: read log: %w", err)
			}
			if err := dst.WriteFile(p.path(), p.Bytes); err != nil {
				return m, fmt.Errorf("export history: %w", err)
			}
			m.Payloads++
		}
	}
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, fmt.Errorf("export history: %w", err)
	}
	if err := dst.WriteFile(manifestFile, append(b, '\n')); err != nil {
		return m, fmt.Errorf("export history: %w", err)
	}
	if err := dst.WriteFile(checkpointFile, signed); err != nil {
		return m, fmt.Errorf("export history: %w", err)
	}
	return m, nil
}

// entries writes the entry bundles.
func (m *Manifest) entries(dst Files, stored Reader) error {
	var (
		bundle []byte
		n      uint64
	)
	flush := func(width int) error {
		err := dst.WriteFile(entriesPath((n-1)/tileWidth, width), bundle)
		bundle = bundle[:0]
		m.Bundles++
		return err
	}
	for leaf, err := range stored.Leaves(0, m.Size) {
		if err != nil {
			return fmt.Errorf("read leaf %d: %w", n, err)
		}
		bundle = AppendEntry(bundle, leaf)
		if n++; n%tileWidth == 0 {
			if err := flush(tileWidth); err != nil {
				return err
			}
		}
	}
	if n != m.Size {
		return fmt.Errorf("read leaves: %d of %d", n, m.Size)
	}
	if n%tileWidth != 0 {
		return flush(int(n % tileWidth))
	}
	return nil
}
