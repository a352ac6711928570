package main

import (
	"io"
	"os"

	"github.com/tokenwatch/tokenwatch/ingest"
	"github.com/tokenwatch/tokenwatch/ingest/source"
)

// inputs are open files, expanded, for commands that read several side by side.
type inputs struct {
	list   []ingest.Input
	closes []func()
}

// openInputs opens what a user named; see source.ExpandNames.
func openInputs(c *console, args []string) (*inputs, error) {
	names, err := source.ExpandNames(args)
	if err != nil {
		return nil, err
	}
	in := &inputs{}
	for _, name := range names {
		if err := in.open(c, name); err != nil {
			in.close()
			return nil, err
		}
	}
	return in, nil
}

func (in *inputs) open(c *console, name string) error {
	var raw io.Reader = c.stdin
	if name != source.Stdin {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		in.closes = append(in.closes, func() { file.Close() }) // only read
		raw = file
	}
	plain, done, err := source.Expand(raw)
	if err != nil {
		return err
	}
	in.closes = append(in.closes, done)
	in.list = append(in.list, ingest.Input{Name: name, Body: plain})
	return nil
}

func (in *inputs) close() {
	for i := len(in.closes) - 1; i >= 0; i-- {
		in.closes[i]()
	}
}
