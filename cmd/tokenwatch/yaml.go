package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

var (
	noField  = regexp.MustCompile(`^(line \d+): field (.*) not found in type .*$`)
	noScalar = regexp.MustCompile(`(?s)^(line \d+): cannot unmarshal .* into (\S+)$`)
)

// wanted is what a setting takes, by the type that the reader of YAML has for it.
var wanted = map[string]string{
	"int": "a whole number", "float64": "a number", "bool": "true or false", "string": "a text",
	"time.Duration": "a time like 30s or 3h", "[]string": "a list of texts",
}

// misread is an error of the reader of YAML in words of the file: which line, what
// is wrong with it, and where to look for the settings there are. The value that was found is not in it: it may be a secret
// that got into the wrong place.
func misread(err error, look string) error {
	var typed *yaml.TypeError
	if !errors.As(err, &typed) {
		return err
	}
	var all []error
	for _, text := range typed.Errors {
		if m := noField.FindStringSubmatch(text); m != nil {
			text = fmt.Sprintf("%s: there is no setting %s here; %s", m[1], m[2], look)
		} else if m := noScalar.FindStringSubmatch(text); m != nil {
			want, ok := wanted[m[2]]
			switch {
			case ok:
			case strings.HasPrefix(m[2], "[]"):
				want = "a list"
			default:
				want = "further settings"
			}
			text = fmt.Sprintf("%s: the setting wants %s", m[1], want)
		}
		all = append(all, errors.New(text))
	}
	return errors.Join(all...)
}

// inFile says of each error which file it is of.
func inFile(what, path string, err error) error {
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return fmt.Errorf("read %s %s: %w", what, path, err)
	}
	var all []error
	for _, e := range many.Unwrap() {
		all = append(all, inFile(what, path, e))
	}
	return errors.Join(all...)
}
