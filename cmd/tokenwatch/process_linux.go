package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// harden keeps the memory of the process, where raw credentials pass through,
// out of core dumps and away from other processes of the same user.
func harden() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid looking into memory: %w", err)
	}
	return nil
}
