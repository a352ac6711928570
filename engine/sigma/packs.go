package sigma

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/tokenwatch/tokenwatch"
)

// packs holds the rules that come with the program: a folder for each pack, a file
// for each product.
//
//go:embed packs
var packs embed.FS

// Packs lists the packs that come with the program, by name.
func Packs() []string {
	entries, err := packs.ReadDir("packs")
	if err != nil {
		panic("sigma: " + err.Error()) // it is in the binary
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Embedded returns the files of a pack that comes with the program.
func Embedded(name string) ([]tokenwatch.RuleFile, error) {
	if !slices.Contains(Packs(), name) {
		return nil, fmt.Errorf("no pack of rules of that name comes with the program; there is %s", strings.Join(Packs(), ", "))
	}
	dir := path.Join("packs", name)
	entries, err := packs.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []tokenwatch.RuleFile
	for _, e := range entries {
		b, err := packs.ReadFile(path.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		files = append(files, tokenwatch.RuleFile{Name: name + "/" + e.Name(), Text: b})
	}
	return files, nil
}
