package policy

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed packs/*.yaml
var files embed.FS

// Default are the packs in use unless others are named.
var Default = []string{"lifecycle"}

// Names lists the packs that come with the program.
func Names() []string {
	entries, err := files.ReadDir("packs")
	if err != nil {
		panic("policy: packs: " + err.Error()) // they are embedded
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	slices.Sort(names)
	return names
}

// Embedded returns a pack that comes with the program.
func Embedded(name string) ([]byte, error) {
	b, err := files.ReadFile("packs/" + name + ".yaml")
	if err != nil || strings.ContainsAny(name, `/\`) {
		return nil, fmt.Errorf("no policy pack is called %q; there are %s", name, strings.Join(Names(), ", "))
	}
	return b, nil
}
