package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/tokenwatch/tokenwatch/storage"
)

// PutKey stores an API key, new or changed, with the leaf of the action by
// which it was; see storage.Keys.
func (s *Store) PutKey(ctx context.Context, key storage.APIKey, by storage.Action) error {
	if key.ID == "" {
		return errors.New("put API key: it has no id")
	}
	value, err := json.Marshal(key)
	if err != nil {
		return fmt.Errorf("encode API key: %w", err)
	}
	return s.do(ctx, 0, func(g *group) error {
		g.action(by)
		g.set(append([]byte{keyAPIKey}, key.ID...), value)
		return nil
	})
}

// Keys yields all API keys in order of id; see storage.Keys.
func (s *Store) Keys(ctx context.Context) iter.Seq2[storage.APIKey, error] {
	return func(yield func(storage.APIKey, error) bool) {
		for it, err := range s.scan(ctx, []byte{keyAPIKey}, []byte{keyAPIKey + 1}) {
			var key storage.APIKey
			if err == nil && json.Unmarshal(it.Value(), &key) != nil {
				err = damaged("API key", errors.New("not an API key"))
			}
			if !yield(key, err) || err != nil {
				return
			}
		}
	}
}
