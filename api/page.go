package api

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
)

//go:embed page.html
var pageText string

// page returns what / shows: what this is and where to look.
func page(version string, paths []binding) ([]byte, error) {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return nil, fmt.Errorf("read the start page: %w", err)
	}
	type line struct{ Method, Path string }
	data := struct {
		Version string
		Paths   []line
	}{Version: version}
	for _, b := range paths {
		data.Paths = append(data.Paths, line{b.method, b.path})
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return nil, fmt.Errorf("write the start page: %w", err)
	}
	return b.Bytes(), nil
}
