package main

import (
	"sync"

	"github.com/tokenwatch/tokenwatch/ingest/seal"
)

// wall is sealing as the API needs it, for what people write and ask: texts are
// looked through for credentials, and a secret that is asked for becomes its id.
type wall struct {
	keys    seal.Keys
	mu      sync.Mutex // a Sealer is used by one goroutine at a time
	sealers map[string]*seal.Sealer
}

func newWall(keys seal.Keys) *wall {
	return &wall{keys: keys, sealers: make(map[string]*seal.Sealer)}
}

// of returns the sealer of a tenant, under the lock.
func (w *wall) of(tenant string) *seal.Sealer {
	s, ok := w.sealers[tenant]
	if !ok {
		s = seal.New(w.keys, tenant, seal.Config{Cache: 16})
		w.sealers[tenant] = s
	}
	return s
}

// holds tells whether a text holds a credential.
func (w *wall) holds(tenant, text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.of(tenant).Holds([]byte(text))
}

// names returns what a token may be stored as where somebody calls it name.
func (w *wall) names(tenant, name string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.of(tenant).Called(name)
}
