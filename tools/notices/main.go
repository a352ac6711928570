// Command notices writes the licence texts of all modules that are linked into
// the binary. It is run from the root of the repository:
//
//	go -C tools run ./notices > THIRD_PARTY_NOTICES
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
}

type module struct{ path, version, dir string }

func write() error {
	modules, err := linked()
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	fmt.Fprintln(out, "tokenwatch is linked with the following modules; their licences follow.")
	fmt.Fprintln(out)
	for _, m := range modules {
		fmt.Fprintf(out, "  %s %s\n", m.path, m.version)
	}
	for _, m := range modules {
		texts, err := licences(m.dir)
		if err != nil {
			return fmt.Errorf("%s: %w", m.path, err)
		}
		for _, text := range texts {
			fmt.Fprintf(out, "\n%s\n%s %s\n%s\n\n%s\n", strings.Repeat("=", 80), m.path, m.version, strings.Repeat("=", 80), bytes.TrimSpace(text))
		}
	}
	return out.Flush()
}

// linked lists the modules of the binary, in order of path, on every platform
// that CI builds for.
func linked() ([]module, error) {
	cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Version}}\t{{.Dir}}{{end}}{{end}}", "./cmd/tokenwatch")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	list, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the binary's packages: %w", err)
	}
	var modules []module
	for line := range strings.Lines(string(list)) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 3 {
			modules = append(modules, module{f[0], f[1], f[2]})
		}
	}
	slices.SortFunc(modules, func(a, b module) int { return strings.Compare(a.path, b.path) })
	return slices.Compact(modules), nil
}

// licences reads the licence and notice files at the top of a module.
func licences(dir string) ([][]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var texts [][]byte
	for _, e := range entries {
		name := strings.ToUpper(e.Name())
		if !e.Type().IsRegular() || !slices.ContainsFunc([]string{"LICENSE", "LICENCE", "COPYING", "NOTICE"}, func(p string) bool { return strings.HasPrefix(name, p) }) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	if len(texts) == 0 {
		return nil, fmt.Errorf("no licence file")
	}
	return texts, nil
}
