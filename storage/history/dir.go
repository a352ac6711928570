package history

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Dir is a directory of the operating system as [StateFiles] and [Files]. It
// replaces files whole, readable by their owner only.
type Dir struct {
	Path    string
	Durable bool // files and their names are synced; what a signer needs
}

// ReadFile reads a file.
func (d Dir) ReadFile(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(d.Path, filepath.FromSlash(name)))
}

// WriteFile writes a file beside its place and moves it there, making folders
// as needed.
func (d Dir) WriteFile(name string, data []byte) (err error) {
	path := filepath.Join(d.Path, filepath.FromSlash(name))
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	f, err := os.CreateTemp(folder, ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", name, errors.Join(err, os.Remove(f.Name())))
		}
	}()
	_, err = f.Write(data)
	if err == nil && d.Durable {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	if d.Durable {
		return syncFolder(folder)
	}
	return nil
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}
