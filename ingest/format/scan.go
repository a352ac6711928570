package format

import (
	"bytes"
	"regexp/syntax"
	"slices"
	"unicode"
	"unicode/utf8"
)

// scan is a regular expression as a program that reads a line once from left to
// right and goes back only where the pattern leaves a choice. It finds what
// package regexp finds: of all matches the one that comes first by the order of
// the alternatives. A line on which it would go back too often is not decided;
// it is then up to an engine of linear time.
type scan struct {
	code []scanOp
	caps int // places of captures
}

// scanOp is one step.
type scanOp struct {
	op      scanCode
	text    []byte // opText; opRun, not greedy: what follows and is looked for, nil where something else does
	set     *scanSet
	min     int // opRun: how often at least and at most, -1 for any number
	max     int
	greedy  bool
	sure    bool       // opRun: what follows cannot be in the set, so that there is no choice
	to      int        // opJump, opSplit: the first choice
	or      int        // opSplit: the second
	first   *[4]uint64 // opSplit: bytes the first choice may begin with; nil if it may be empty
	second  *[4]uint64
	capture int
	empty   syntax.EmptyOp
}

type scanCode uint8

const (
	opText scanCode = iota
	opSet
	opRun
	opSplit
	opJump
	opCapture
	opEmpty
	opDone
)

// scanSet is a set of characters.
type scanSet struct {
	ascii [2]uint64
	wide  []rune // pairs, from and to, beyond ASCII
}

func (s *scanSet) has(c byte) bool { return s.ascii[c>>6&1]&(1<<(c&63)) != 0 }

// hasRune is has for what does not fit a byte.
func (s *scanSet) hasRune(r rune) bool {
	for i := 0; i < len(s.wide); i += 2 {
		if r >= s.wide[i] && r <= s.wide[i+1] {
			return true
		}
	}
	return false
}

// step returns how many bytes the character at the beginning of b takes if it is
// in the set, else 0.
func (s *scanSet) step(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	if c := b[0]; c < utf8.RuneSelf {
		if s.has(c) {
			return 1
		}
		return 0
	}
	r, n := utf8.DecodeRune(b)
	if s.hasRune(r) {
		return n
	}
	return 0
}

// maxScan is how long a program of the scanner may be.
const maxScan = 4096

// compileScan makes a program, nil where a repetition may match nothing, or the
// program is too long: that is not for the scanner.
func compileScan(re *syntax.Regexp) *scan {
	c := &scanCompiler{}
	if !c.add(re) {
		return nil
	}
	c.code = append(c.code, scanOp{op: opDone})
	c.choices()
	return &scan{c.code, 2 * (re.MaxCap() + 1)}
}

type scanCompiler struct{ code []scanOp }

func (c *scanCompiler) emit(op scanOp) int {
	c.code = append(c.code, op)
	return len(c.code) - 1
}

func (c *scanCompiler) add(re *syntax.Regexp) bool {
	if len(c.code) > maxScan {
		return false
	}
	switch re.Op {
	case syntax.OpEmptyMatch:
		return true
	case syntax.OpLiteral:
		return c.literal(re)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		c.emit(scanOp{op: opSet, set: setOf(re)})
		return true
	case syntax.OpBeginText:
		c.emit(scanOp{op: opEmpty, empty: syntax.EmptyBeginText})
	case syntax.OpEndText:
		c.emit(scanOp{op: opEmpty, empty: syntax.EmptyEndText})
	case syntax.OpBeginLine:
		c.emit(scanOp{op: opEmpty, empty: syntax.EmptyBeginLine})
	case syntax.OpEndLine:
		c.emit(scanOp{op: opEmpty, empty: syntax.EmptyEndLine})
	case syntax.OpWordBoundary:
		c.emit(scanOp{op: opEmpty, empty: syntax.EmptyWordBoundary})
	case syntax.OpNoWordBoundary:
		c.emit(scanOp{op: opEmpty, empty: syntax.EmptyNoWordBoundary})
	case syntax.OpCapture:
		c.emit(scanOp{op: opCapture, capture: 2 * re.Cap})
		if !c.add(re.Sub[0]) {
			return false
		}
		c.emit(scanOp{op: opCapture, capture: 2*re.Cap + 1})
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if !c.add(sub) {
				return false
			}
		}
	case syntax.OpAlternate:
		return c.alternate(re.Sub)
	case syntax.OpQuest:
		return c.repeat(re, 0, 1)
	case syntax.OpStar:
		return c.repeat(re, 0, -1)
	case syntax.OpPlus:
		return c.repeat(re, 1, -1)
	case syntax.OpRepeat:
		return c.repeat(re, re.Min, re.Max)
	default: // OpNoMatch
		return false
	}
	return true
}

func (c *scanCompiler) literal(re *syntax.Regexp) bool {
	if re.Flags&syntax.FoldCase == 0 && !slices.Contains(re.Rune, utf8.RuneError) {
		c.emit(scanOp{op: opText, text: []byte(string(re.Rune))})
		return true
	}
	for _, r := range re.Rune {
		s := &scanSet{}
		s.add(r, r)
		if re.Flags&syntax.FoldCase != 0 {
			for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
				s.add(f, f)
			}
		}
		c.emit(scanOp{op: opSet, set: s})
	}
	return true
}

func (c *scanCompiler) alternate(subs []*syntax.Regexp) bool {
	var ends []int
	for i, sub := range subs {
		if i == len(subs)-1 {
			if !c.add(sub) {
				return false
			}
			break
		}
		split := c.emit(scanOp{op: opSplit})
		if !c.add(sub) {
			return false
		}
		ends = append(ends, c.emit(scanOp{op: opJump}))
		c.code[split].to, c.code[split].or = split+1, len(c.code)
	}
	for _, end := range ends {
		c.code[end].to = len(c.code)
	}
	return true
}

// repeat adds a repetition: of one character as a run, else written out, with a
// loop at the end if there is no upper bound.
func (c *scanCompiler) repeat(re *syntax.Regexp, least, most int) bool {
	sub, greedy := re.Sub[0], re.Flags&syntax.NonGreedy == 0
	if set := setOf(sub); set != nil {
		c.emit(scanOp{op: opRun, set: set, min: least, max: most, greedy: greedy})
		return true
	}
	if most < 0 && emptyMatch(sub) {
		return false // where such a loop ends is for package regexp to say
	}
	for range least {
		if !c.add(sub) {
			return false
		}
	}
	if most < 0 {
		loop := c.emit(scanOp{op: opSplit})
		if !c.add(sub) {
			return false
		}
		c.emit(scanOp{op: opJump, to: loop})
		c.choose(loop, greedy)
		return true
	}
	var splits []int
	for range most - least {
		splits = append(splits, c.emit(scanOp{op: opSplit}))
		if !c.add(sub) {
			return false
		}
	}
	for _, split := range splits {
		c.choose(split, greedy)
	}
	return true
}

// choose makes a split one between what follows it and the end of the program so far.
func (c *scanCompiler) choose(split int, greedy bool) {
	s := &c.code[split]
	if s.to, s.or = split+1, len(c.code); !greedy {
		s.to, s.or = s.or, s.to
	}
}

// emptyMatch tells whether an expression may match nothing.
func emptyMatch(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune) == 0
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL, syntax.OpNoMatch:
		return false
	case syntax.OpCapture, syntax.OpPlus:
		return emptyMatch(re.Sub[0])
	case syntax.OpRepeat:
		return re.Min == 0 || emptyMatch(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if !emptyMatch(sub) {
				return false
			}
		}
		return true
	case syntax.OpAlternate:
		return slices.ContainsFunc(re.Sub, emptyMatch)
	}
	return true
}

// setOf returns the set of an expression that is one character, nil if it is not.
func setOf(re *syntax.Regexp) *scanSet {
	s := &scanSet{}
	switch re.Op {
	case syntax.OpCharClass:
		for i := 0; i+1 < len(re.Rune); i += 2 {
			s.add(re.Rune[i], re.Rune[i+1])
		}
	case syntax.OpAnyChar:
		s.add(0, unicode.MaxRune)
	case syntax.OpAnyCharNotNL:
		s.add(0, '\n'-1)
		s.add('\n'+1, unicode.MaxRune)
	case syntax.OpLiteral:
		if len(re.Rune) != 1 {
			return nil
		}
		r := re.Rune[0]
		s.add(r, r)
		if re.Flags&syntax.FoldCase != 0 {
			for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
				s.add(f, f)
			}
		}
	default:
		return nil
	}
	return s
}

func (s *scanSet) add(from, to rune) {
	for r := from; r <= to && r < utf8.RuneSelf; r++ {
		s.ascii[r>>6] |= 1 << (r & 63)
	}
	if to >= utf8.RuneSelf {
		s.wide = append(s.wide, max(from, utf8.RuneSelf), to)
	}
}

// choices finds out where there is none: which splits a byte decides, which runs
// end where they have to.
func (c *scanCompiler) choices() {
	for i := range c.code {
		op := &c.code[i]
		switch op.op {
		case opSplit:
			op.first, op.second = c.begins(op.to), c.begins(op.or)
		case opRun:
			next := i + 1
			for c.code[next].op == opCapture || c.code[next].op == opJump {
				if c.code[next].op == opJump {
					next = c.code[next].to
					if next <= i {
						break
					}
					continue
				}
				next++
			}
			switch follow := c.code[next]; {
			case next <= i:
			case follow.op == opText && follow.text[0] < utf8.RuneSelf:
				op.sure = op.greedy && !op.set.has(follow.text[0])
				if !op.greedy && op.max < 0 {
					op.text = follow.text
				}
			case follow.op == opEmpty && follow.empty == syntax.EmptyEndText:
				op.sure = op.greedy
			}
		}
	}
}

// begins returns the bytes with which a match from pc on may begin, nil if it may
// be empty or that cannot be told.
func (c *scanCompiler) begins(pc int) *[4]uint64 {
	var set [4]uint64
	seen := make(map[int]bool)
	if !c.addBegins(pc, &set, seen) {
		return nil
	}
	return &set
}

func (c *scanCompiler) addBegins(pc int, set *[4]uint64, seen map[int]bool) bool {
	for !seen[pc] {
		seen[pc] = true
		switch op := &c.code[pc]; op.op {
		case opText:
			set[op.text[0]>>6] |= 1 << (op.text[0] & 63)
			return true
		case opSet, opRun:
			set[0] |= op.set.ascii[0]
			set[1] |= op.set.ascii[1]
			if len(op.set.wide) > 0 {
				set[2], set[3] = ^uint64(0), ^uint64(0)
			}
			if op.op == opSet || op.min > 0 {
				return true
			}
			pc++
		case opSplit:
			if !c.addBegins(op.to, set, seen) {
				return false
			}
			pc = op.or
		case opJump:
			pc = op.to
		case opDone:
			return false
		case opEmpty:
			if op.empty == syntax.EmptyEndText {
				return false
			}
			pc++
		default:
			pc++
		}
	}
	return true
}

// scanState is the memory of a match, reused from one to the next.
type scanState struct {
	stack []scanBack
}

// scanBack is where a match goes on when it fails, or what a capture was before.
type scanBack struct {
	pc   int // -1: capture
	at   int
	from int // of a run: how far it may go back, or how far it has got
}

// How many steps a match may take: so many for each byte, and some.
const (
	stepsPerByte = 32
	stepsAtLeast = 4096
)

// match matches a line as a whole. Done is false if it gave up.
func (s *scan) match(state *scanState, line []byte, caps []int) (out []int, ok, done bool) {
	caps = slices.Grow(caps[:0], s.caps)[:s.caps]
	for i := range caps {
		caps[i] = -1
	}
	stack := state.stack[:0]
	defer func() { state.stack = stack[:0] }()
	steps := stepsAtLeast + stepsPerByte*len(line)
	pc, at := 0, 0
	for {
		if steps--; steps < 0 {
			return caps, false, false
		}
		op := &s.code[pc]
		failed := false
		switch op.op {
		case opText:
			if n := len(op.text); len(line)-at >= n && string(line[at:at+n]) == string(op.text) {
				at += n
				pc++
			} else {
				failed = true
			}
		case opSet:
			if n := op.set.step(line[at:]); n > 0 {
				at += n
				pc++
			} else {
				failed = true
			}
		case opRun:
			start := at
			if at, failed = op.least(line, at); failed {
				break
			}
			if !op.greedy {
				if op.max != op.min {
					stack = append(stack, scanBack{pc, at, start})
				}
				pc++
				break
			}
			floor := at
			at = op.most(line, start, at)
			if at > floor && !op.sure {
				stack = append(stack, scanBack{pc, at, floor})
			}
			pc++
		case opSplit:
			if !begins(op.first, line, at) {
				pc = op.or
				break
			}
			if begins(op.second, line, at) {
				stack = append(stack, scanBack{op.or, at, -1})
			}
			pc = op.to
		case opJump:
			pc = op.to
		case opCapture:
			stack = append(stack, scanBack{-1, caps[op.capture], op.capture})
			caps[op.capture] = at
			pc++
		case opEmpty:
			if emptyAt(line, at)&op.empty != op.empty {
				failed = true
				break
			}
			pc++
		case opDone:
			caps[0], caps[1] = 0, at
			return caps, true, true
		}
		for failed {
			n := len(stack)
			if n == 0 {
				return caps, false, true
			}
			if steps--; steps < 0 {
				return caps, false, false
			}
			back := stack[n-1]
			stack = stack[:n-1]
			if back.pc < 0 {
				caps[back.from] = back.at
				continue
			}
			if back.from < 0 { // a split
				pc, at, failed = back.pc, back.at, false
				continue
			}
			op := &s.code[back.pc]
			if op.greedy {
				_, width := utf8.DecodeLastRune(line[back.from:back.at])
				if at = back.at - width; at > back.from {
					stack = append(stack, scanBack{back.pc, at, back.from})
				}
				pc, failed = back.pc+1, false
				continue
			}
			at, failed = op.further(line, back.at)
			if !failed {
				if op.max < 0 || utf8.RuneCount(line[back.from:at]) < op.max {
					stack = append(stack, scanBack{back.pc, at, back.from})
				}
				pc = back.pc + 1
			}
		}
	}
}

// least takes as many characters as a run has at least.
func (op *scanOp) least(line []byte, at int) (int, bool) {
	for range op.min {
		n := op.set.step(line[at:])
		if n == 0 {
			return at, true
		}
		at += n
	}
	return at, false
}

// most takes as many characters as it can, of a run that begins at start.
func (op *scanOp) most(line []byte, start, at int) int {
	if op.max < 0 {
		for at < len(line) {
			if c := line[at]; c < utf8.RuneSelf {
				if !op.set.has(c) {
					return at
				}
				at++
				continue
			}
			n := op.set.step(line[at:])
			if n == 0 {
				return at
			}
			at += n
		}
		return at
	}
	for left := op.max - op.min; left > 0; left-- {
		n := op.set.step(line[at:])
		if n == 0 {
			break
		}
		at += n
	}
	return at
}

// further goes on with a run that is as short as it can be: by one character, or
// to where the text behind it stands.
func (op *scanOp) further(line []byte, at int) (int, bool) {
	n := op.set.step(line[at:])
	if n == 0 {
		return at, true
	}
	at += n
	if op.text == nil {
		return at, false
	}
	i := bytes.Index(line[at:], op.text)
	if i < 0 {
		return at, true
	}
	for end := at + i; at < end; at += n {
		if n = op.set.step(line[at:]); n == 0 {
			return at, true
		}
	}
	return at, false
}

func begins(set *[4]uint64, line []byte, at int) bool {
	if set == nil {
		return true
	}
	if at == len(line) {
		return false
	}
	c := line[at]
	return set[c>>6]&(1<<(c&63)) != 0
}

// emptyAt returns which conditions hold between two characters.
func emptyAt(line []byte, at int) syntax.EmptyOp {
	before, after := rune(-1), rune(-1)
	if at > 0 {
		before, _ = utf8.DecodeLastRune(line[:at])
	}
	if at < len(line) {
		after, _ = utf8.DecodeRune(line[at:])
	}
	return syntax.EmptyOpContext(before, after)
}
