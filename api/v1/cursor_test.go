package v1

import (
	"bytes"
	"testing"
)

var testScope = scope{kind: "k", tenant: "t", query: "q"}

// TestCursor: a cursor opens with its key and scope, and with nothing else.
func TestCursor(t *testing.T) {
	s := sealer{[]byte("key")}
	cursor := s.sealPlace(testScope, 1, 300, 1<<63)
	var a, b, c uint64
	if err := s.openPlace(testScope, cursor, &a, &b, &c); err != nil || a != 1 || b != 300 || c != 1<<63 {
		t.Fatalf("%d %d %d %v", a, b, c, err)
	}
	var one uint64
	for name, err := range map[string]error{
		"another key":    sealer{[]byte("yek")}.openPlace(testScope, cursor, &a, &b, &c),
		"another kind":   s.openPlace(scope{"x", "t", "q"}, cursor, &a, &b, &c),
		"another tenant": s.openPlace(scope{"k", "x", "q"}, cursor, &a, &b, &c),
		"another query":  s.openPlace(scope{"k", "t", "x"}, cursor, &a, &b, &c),
		"shifted parts":  s.openPlace(scope{"kt", "", "q"}, cursor, &a, &b, &c),
		"fewer places":   s.openPlace(testScope, cursor, &one),
		"more places":    s.openPlace(testScope, cursor, &a, &b, &c, &one),
		"padded":         s.openPlace(testScope, cursor+"=", &a, &b, &c),
		"doubled":        s.openPlace(testScope, cursor+cursor, &a, &b, &c),
		"a line break":   s.openPlace(testScope, cursor[:4]+"\n"+cursor[4:], &a, &b, &c),
	} {
		if Reason(err) != ReasonBadCursor {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range cursor {
		for _, c := range []byte("Ab0-_!") {
			changed := []byte(cursor)
			if changed[i] == c {
				continue
			}
			changed[i] = c
			if err := s.openPlace(testScope, string(changed), &a, &b, &one); Reason(err) != ReasonBadCursor {
				t.Errorf("character %d changed: %v", i, err)
			}
		}
	}
	a = 7
	if err := s.openPlace(testScope, "", &a); err != nil || a != 7 {
		t.Errorf("an empty cursor: %d %v", a, err)
	}
}

// FuzzCursor: what opens was sealed, and is sealed again alike.
func FuzzCursor(f *testing.F) {
	s := sealer{[]byte("key")}
	f.Add(s.sealPlace(testScope, 0))
	f.Add(s.sealPlace(testScope, 1<<40))
	f.Add(s.seal(testScope, []byte("id")))
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, cursor string) {
		payload, err := s.open(testScope, cursor)
		if err != nil {
			if Reason(err) != ReasonBadCursor {
				t.Errorf("%v", err)
			}
			return
		}
		if s.seal(testScope, bytes.Clone(payload)) != cursor {
			t.Errorf("%q opens and is not what was sealed", cursor)
		}
		var place uint64
		if err := s.openPlace(testScope, cursor, &place); err == nil && s.sealPlace(testScope, place) != cursor {
			// A longer spelling of a number would open too, if we ever sealed one.
			t.Errorf("%q is place %d in another spelling", cursor, place)
		}
	})
}
