package main

import (
	"crypto/rand"
	"io"
	"log/slog"
	"os"
	"time"

	"golang.org/x/term"
)

// console is the world a command works in. Tests make one of their own.
type console struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	now            func() time.Time
	random         io.Reader

	outWidth, errWidth int  // columns of the terminal; 0: not a terminal
	colour             bool // of standard output
	json               bool // --json was given
}

func newConsole() *console {
	c := &console{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		getenv: os.Getenv, now: time.Now, random: rand.Reader,
		outWidth: columns(os.Stdout), errWidth: columns(os.Stderr),
	}
	c.colour = c.outWidth > 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return c
}

// columns returns how wide the terminal behind f is, 0 if there is none.
func columns(f *os.File) int {
	if !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 20 {
		return 80
	}
	return width
}

// logger writes what an operator should know to standard error.
func (c *console) logger() *slog.Logger {
	if c.json {
		return slog.New(slog.NewJSONHandler(c.stderr, nil))
	}
	return slog.New(slog.NewTextHandler(c.stderr, nil))
}
