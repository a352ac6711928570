package format

import (
	"bytes"
	"strconv"

	"github.com/tokenwatch/tokenwatch"
)

// field is one place in the objects of a source: a member by its name, an item
// by its index. Records of a source repeat the same few hundred, so a walker
// keeps them as a tree with the rule of each, and guesses at every member that
// it is the one which followed the last time: reading its name is then one
// comparison. What the tree has no room for is made anew each time.
type field struct {
	path  []byte // folded, without indices
	full  []byte // as written, with indices
	rule  rule
	ruled bool // rule is known

	part     part // of a pair
	pairPath int  // how much of full is the pair's

	kept   bool              // in the tree
	word   *tokenwatch.Word  // full, once it was the key of an attr
	name   string            // as a record writes it: with quotes and colon
	next   *field            // the member behind it the last time, nil if there was none
	first  *field            // the first member the last time
	byName map[string]*field // members
	items  []*field          // by index
}

// Bounds of what a walker keeps: under 3 MB at worst, and for most sources a hundredth of it.
const (
	maxKept     = 2048
	maxKeptName = 128
	maxKeptPath = 256
	maxKeptItem = 64
	renewAfter  = 1 << 16 // records a full tree is used before it is made anew
)

// renew gives up a tree that is full of what may no longer come.
func (w *walker) renew() {
	if w.kept < maxKept {
		return
	}
	if w.since++; w.since >= renewAfter {
		w.root, w.kept, w.since = field{kept: true, ruled: true}, 0, 0
	}
}

// member returns the member of parent called name; verbatim tells that a record
// writes it so. It is valid until the next one at its depth.
func (w *walker) member(parent *field, name []byte, verbatim bool, depth int) *field {
	if parent.kept {
		if f, ok := parent.byName[string(name)]; ok {
			return f
		}
		if verbatim && w.room(parent, len(name)) {
			f := &field{kept: true, name: `"` + string(name) + `":`}
			f.path, f.full = appendName(bytes.Clone(parent.path), bytes.Clone(parent.full), name)
			if parent.byName == nil {
				parent.byName = make(map[string]*field)
			}
			parent.byName[string(name)] = f
			w.kept++
			return f
		}
	}
	w.descend(parent)
	w.path, w.full = appendName(w.path, w.full, name)
	return w.passing(depth)
}

// item returns item i of an array at parent, as member does.
func (w *walker) item(parent *field, i, depth int) *field {
	if parent.kept {
		if i < len(parent.items) {
			return parent.items[i]
		}
		if i == len(parent.items) && i < maxKeptItem && w.room(parent, 0) {
			f := &field{kept: true, path: parent.path, full: appendIndex(bytes.Clone(parent.full), i)}
			parent.items = append(parent.items, f)
			w.kept++
			return f
		}
	}
	w.descend(parent)
	w.full = appendIndex(w.full, i)
	return w.passing(depth)
}

func (w *walker) room(parent *field, name int) bool {
	return w.kept < maxKept && name <= maxKeptName && len(parent.full) <= maxKeptPath
}

// descend makes the walker's paths those of parent. Where parent is not kept its
// own are their beginning.
func (w *walker) descend(parent *field) {
	if parent.kept {
		w.path, w.full = append(w.path[:0], parent.path...), append(w.full[:0], parent.full...)
		return
	}
	w.path, w.full = w.path[:len(parent.path)], w.full[:len(parent.full)]
}

// passing returns a field of the walker's paths that is not kept.
func (w *walker) passing(depth int) *field {
	f := &w.scratch[depth]
	f.path, f.full, f.ruled = w.path, w.full, false
	return f
}

func appendName(path, full, name []byte) ([]byte, []byte) {
	if len(path) > 0 {
		path, full = append(path, '.'), append(full, '.')
	}
	return appendFolded(path, name), append(full, name...)
}

func appendIndex(full []byte, i int) []byte {
	return strconv.AppendInt(append(full, '.'), int64(i), 10)
}

// ruleOf finds what is to be done with a field.
func (w *walker) ruleOf(f *field) rule {
	if w.mapping != nil {
		if r, ok := w.mapping.rules[string(f.full)]; ok {
			return r
		}
		for i := bytes.LastIndexByte(f.full, '.'); i > 0; i = bytes.LastIndexByte(f.full[:i], '.') {
			if w.mapping.rules[string(f.full[:i])].op == toNothing {
				return rule{op: toNothing}
			}
		}
	}
	if r, ok := w.rules[string(f.path)]; ok {
		return r
	}
	leaf := f.path
	if i := bytes.LastIndexByte(leaf, '.'); i >= 0 {
		if r, ok := leafRules[string(leaf[i+1:])]; ok {
			if w.lenient && r.op != toCredential && r.op != toAuthorization {
				return rule{} // ids of other things than the caller's token
			}
			return r
		}
		if r, ok := ruleAbove(leaf); ok {
			return r
		}
		if r, ok := w.ruleWithin(f.path); ok {
			return r
		}
		for _, p := range wrappers {
			if !w.lenient && bytes.HasPrefix(f.path, []byte(p)) {
				if r, ok := w.rules[string(f.path[len(p):])]; ok {
					return r
				}
			}
		}
		return rule{}
	}
	return leafRules[string(leaf)]
}

// ruleWithin returns what the rules say of all that stands in an object and has no
// rule of its own; the innermost object counts.
func (w *walker) ruleWithin(path []byte) (rule, bool) {
	if !w.wild {
		return rule{}, false
	}
	for i := bytes.LastIndexByte(path, '.'); i > 0; i = bytes.LastIndexByte(path[:i], '.') {
		if r, ok := w.rules[string(path[:i])+".*"]; ok {
			return r, true
		}
	}
	return rule{}, false
}

// ruleAbove returns the rule of a field below a declared carrier: all text in
// an object that stands for a credential is one, but for what describes it. No
// such text in a jar of cookies tells who calls.
func ruleAbove(path []byte) (rule, bool) {
	i := bytes.LastIndexByte(path, '.')
	if describing[string(path[i+1:])] {
		return rule{}, false
	}
	for i > 0 {
		above := path[:i]
		i = bytes.LastIndexByte(above, '.')
		r, ok := leafRules[string(above[i+1:])]
		if ok && (r.op == toCredential || r.op == toAuthorization) {
			r.below = true
			r.incidental = r.incidental || r.carrier == "cookie"
			return r, true
		}
	}
	return rule{}, false
}
