package main

import (
	"context"
	"errors"
	"fmt"
)

// stage is a part of the way of the data: it runs until its context ends, then
// finishes what it has in hand and returns.
type stage struct {
	name string
	run  func(context.Context) error
}

// flow runs stages side by side until ctx ends or one of them returns. Then it
// ends them one after the other in the order given, which is the way of the
// data: each ends when nothing more can come from the one before.
func flow(ctx context.Context, stages ...stage) error {
	first := make(chan struct{}, len(stages))
	cancels := make([]context.CancelFunc, len(stages))
	ends := make([]chan error, len(stages))
	for i, s := range stages {
		var own context.Context
		own, cancels[i] = context.WithCancel(context.WithoutCancel(ctx))
		ends[i] = make(chan error, 1)
		go func() {
			ends[i] <- s.run(own)
			first <- struct{}{}
		}()
	}
	select {
	case <-ctx.Done():
	case <-first:
	}
	var errs []error
	for i, s := range stages {
		cancels[i]()
		if err := <-ends[i]; err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
		}
	}
	return errors.Join(errs...)
}
