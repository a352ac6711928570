package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// size is a number of bytes, written 64MiB in configuration files.
type size int64

var sizeUnits = [...]struct {
	name  string
	bytes size
}{
	{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1},
}

// String prints in the largest unit that divides it.
func (s size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && s%u.bytes == 0 {
			return fmt.Sprintf("%d%s", s/u.bytes, u.name)
		}
	}
	return "0"
}

// UnmarshalYAML reads one of a configuration file, and says in which line it is wrong.
func (s *size) UnmarshalYAML(n *yaml.Node) error {
	if err := s.UnmarshalText([]byte(n.Value)); err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	return nil
}

// UnmarshalText reads a whole number with a unit, or of bytes without one.
func (s *size) UnmarshalText(b []byte) error {
	text, unit := string(b), size(1)
	for _, u := range sizeUnits {
		if number, ok := strings.CutSuffix(text, u.name); ok {
			text, unit = strings.TrimSpace(number), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > int64(1<<62)/int64(unit) {
		return errors.New("not a size; write it like 64MiB")
	}
	*s = size(n) * unit
	return nil
}
