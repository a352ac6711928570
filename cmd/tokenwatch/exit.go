package main

import (
	"errors"
	"fmt"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/engine/expr"
	"github.com/tokenwatch/tokenwatch/query/sql"
	"github.com/tokenwatch/tokenwatch/storage/history"
	"github.com/tokenwatch/tokenwatch/storage/local"
)

// Exit codes of our own; those of a store and of a verification are theirs.
const (
	exitOK      = 0
	exitError   = 1
	exitUsage   = 2
	exitNothing = 3
	exitDiffers = 4
)

// exitCodes is every exit code there is, as `tokenwatch help exit-codes` shows it.
var exitCodes = [...]struct {
	code int
	doc  string
}{
	{exitOK, "done"},
	{exitError, "something went wrong; standard error says what"},
	{exitUsage, "the command line or the configuration cannot be used"},
	{exitNothing, "nothing was accepted: every record was refused"},
	{exitDiffers, "rebuild, policy diff: findings are not what they were"},
	{local.ExitDiskFull, "the disk is full; nothing acknowledged is missing"},
	{local.ExitIO, "the file system failed"},
	{local.ExitCorruption, "stored data are damaged; the place is named"},
	{local.ExitLoss, "acknowledged data are proven to be missing; the range is named"},
	{local.ExitNewer, "the data were written by a newer version; nothing was changed"},
	{history.ExitAltered, "verify: altered"},
	{history.ExitTruncated, "verify: truncated"},
	{history.ExitForked, "verify: forked"},
	{history.ExitIncomplete, "verify: incomplete"},
	{history.ExitUnverifiable, "verify: unverifiable"},
}

// coded is an error that has an exit code.
type coded struct {
	code int
	err  error // nil: what is to be said was said
}

func (c *coded) Error() string {
	if c.err == nil {
		return fmt.Sprintf("exit code %d", c.code)
	}
	return c.err.Error()
}

func (c *coded) Unwrap() error { return c.err }

// usage is the error of a command line that cannot be used.
func usage(format string, args ...any) error {
	return &coded{exitUsage, fmt.Errorf(format, args...)}
}

// exitCode returns the exit code that an error of a command stands for.
func exitCode(err error) int {
	var c *coded
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &c):
		return c.code
	case misasked(err):
		return exitUsage
	case local.ExitCode(err) != 0:
		return local.ExitCode(err)
	default:
		return exitError
	}
}

// misasked tells whether an error is about what was asked for, as a server answers
// it with 400.
func misasked(err error) bool {
	var refusal *tokenwatch.Refusal
	var syntax *sql.Error
	var types *expr.TypeError
	return errors.As(err, &refusal) && refusal.Reason == tokenwatch.RefusedArgument ||
		errors.As(err, &syntax) || errors.As(err, &types) || errors.Is(err, expr.ErrOverflow)
}
