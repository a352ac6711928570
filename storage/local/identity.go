package local

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// formatVersion is the version of everything we lay down in a store: keys,
// records, files. An older program refuses a newer store before it writes.
const formatVersion = 1

// identityName is the file that says what the directory is. It is the last to
// be made, so where it is the store was whole once.
const identityName = "store"

// identity is the content of that file: four lines of text.
type identity struct {
	format int
	id     string // 32 hexadecimal digits
}

var errIdentity = errors.New("not the identity of a store")

func (i identity) encode() []byte {
	text := fmt.Sprintf("tokenwatch store\nformat %d\nid %s\n", i.format, i.id)
	return fmt.Appendf([]byte(text), "sum %08x\n", crc32.Checksum([]byte(text), castagnoli))
}

func decodeIdentity(b []byte) (identity, error) {
	text, sum, ok := strings.Cut(string(b), "sum ")
	if !ok || sum != fmt.Sprintf("%08x\n", crc32.Checksum([]byte(text), castagnoli)) {
		return identity{}, errIdentity
	}
	lines := strings.Split(text, "\n")
	if lines[0] != "tokenwatch store" || len(lines) < 3 {
		return identity{}, errIdentity
	}
	format, err := strconv.Atoi(strings.TrimPrefix(lines[1], "format "))
	if err != nil {
		return identity{}, errIdentity
	}
	if format > formatVersion {
		return identity{}, fmt.Errorf("%w: it has format %d, this program knows %d", ErrNewer, format, formatVersion)
	}
	id := strings.TrimPrefix(lines[2], "id ")
	if raw, err := hex.DecodeString(id); err != nil || len(raw) != 16 {
		return identity{}, errIdentity
	}
	return identity{format, id}, nil
}

// readIdentity returns the store's identity; false if the file is not there.
func readIdentity(fs vfs.FS, dir string) (identity, bool, error) {
	f, err := fs.Open(fs.PathJoin(dir, identityName))
	if errors.Is(err, os.ErrNotExist) {
		return identity{}, false, nil
	}
	if err != nil {
		return identity{}, false, classify("store identity", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return identity{}, false, classify("store identity", err)
	}
	i, err := decodeIdentity(b)
	if errors.Is(err, errIdentity) {
		err = damaged("store identity", err)
	}
	return i, err == nil, err
}
