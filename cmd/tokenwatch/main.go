// Command tokenwatch watches API tokens through logs: it takes logs in, says
// when a token does what it never did before, and keeps a history that can be
// verified. One binary is the server and all tools around it.
//
// In come arguments, the environment and configuration files, which no other
// package reads; out go the Config structs of the packages, the results on
// standard output, everything else on standard error, and an exit code of the
// table in exit.go. Each command is a file; serve.go starts and stops the server
// and shows how the parts hang together.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	interrupts := make(chan os.Signal, 2)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupts
		cancel() // drain
		<-interrupts
		os.Exit(exitError) // at once: the store recovers from it
	}()
	if err := harden(); err != nil {
		fmt.Fprintln(os.Stderr, "tokenwatch:", err)
		os.Exit(exitError)
	}
	os.Exit(run(ctx, os.Args[1:], newConsole()))
}
