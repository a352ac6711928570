package expr

import (
	"math"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Function is a scalar function: its line is its documentation.
type Function struct {
	Name  string
	Usage string
	Doc   string
	make  func(args []Expr) (Expr, error)
}

// Functions are the scalar functions, by name.
var Functions = []Function{
	{"abs", "abs(x)", "x without its sign", number(math.Abs, func(n int64) int64 { return max(n, -n) })},
	{"ceil", "ceil(x)", "the least whole number that is not below x", number(math.Ceil, same)},
	{"floor", "floor(x)", "the greatest whole number that is not above x", number(math.Floor, same)},
	{"sign", "sign(x)", "-1, 0 or 1", number(func(f float64) float64 { return float64(one(f > 0) - one(f < 0)) }, func(n int64) int64 { return int64(one(n > 0) - one(n < 0)) })},
	{"round", "round(x[, digits])", "x rounded to so many digits after the point", makeRound},
	{"sqrt", "sqrt(x)", "square root; null of negative numbers", float(math.Sqrt)},
	{"ln", "ln(x)", "natural logarithm; null where there is none", float(math.Log)},
	{"log10", "log10(x)", "decimal logarithm; null where there is none", float(math.Log10)},
	{"log2", "log2(x)", "binary logarithm; null where there is none", float(math.Log2)},
	{"exp", "exp(x)", "e to the power of x", float(math.Exp)},
	{"lower", "lower(s)", "s in lower case", text(strings.ToLower)},
	{"upper", "upper(s)", "s in upper case", text(strings.ToUpper)},
	{"trim", "trim(s)", "s without blanks around it", text(strings.TrimSpace)},
	{"ltrim", "ltrim(s)", "s without blanks before it", text(func(s string) string { return strings.TrimLeft(s, " \t\r\n") })},
	{"rtrim", "rtrim(s)", "s without blanks after it", text(func(s string) string { return strings.TrimRight(s, " \t\r\n") })},
	{"reverse", "reverse(s)", "s backwards", text(reverse)},
	{"length", "length(s)", "how many characters s has", length(utf8.RuneCountInString)},
	{"octet_length", "octet_length(s)", "how many bytes s has", length(func(s string) int { return len(s) })},
	{"substr", "substr(s, from[, count])", "part of s, from a character counted from 1", makeSubstr},
	{"left", "left(s, n)", "the first n characters of s", makeLeft},
	{"replace", "replace(s, old, new)", "s with every old replaced by new", makeReplace},
	{"split_part", "split_part(s, by, n)", "the n-th part of s, cut at by; null if there is none", makeSplitPart},
	{"concat", "concat(a, b, …)", "the texts one after the other; nulls are passed over", makeConcat},
	{"contains", "contains(s, sub)", "whether sub occurs in s", literalTest(Contains)},
	{"starts_with", "starts_with(s, prefix)", "whether s begins with prefix", literalTest(HasPrefix)},
	{"ends_with", "ends_with(s, suffix)", "whether s ends with suffix", literalTest(HasSuffix)},
	{"position", "position(sub, s)", "at which character of s sub occurs first, counted from 1; 0 if nowhere", makePosition},
	{"regexp_matches", "regexp_matches(s, re)", "whether a regular expression (RE2) matches within s", literalTest(func(x Expr, p string) (Expr, error) { return Match(x, p, false, false) })},
	{"regexp_extract", "regexp_extract(s, re[, group])", "what a regular expression (RE2), or a group of it, matches first; null if nothing", makeExtract},
	{"coalesce", "coalesce(a, b, …)", "the first that is not null", makeCoalesce},
	{"nullif", "nullif(a, b)", "a, or null where it equals b", makeNullIf},
	{"if", "if(condition, a, b)", "a where the condition is true, else b", makeIf},
	{"greatest", "greatest(a, b, …)", "the greatest of those that are not null", extreme(Greater)},
	{"least", "least(a, b, …)", "the least of those that are not null", extreme(Less)},
	{"date_trunc", "date_trunc(unit, time)", "the beginning of the second, minute, hour, day, week, month, quarter or year", makeTrunc},
	{"date_bin", "date_bin(interval, time[, origin])", "the beginning of the bin, counted from origin (1970)", makeBin},
	{"date_part", "date_part(field, time)", "year, quarter, month, week, day, hour, minute, second, dow, isodow, doy or epoch", makePart},
	{"epoch_ms", "epoch_ms(time)", "milliseconds since 1970", epoch(1e6)},
	{"epoch_ns", "epoch_ns(time)", "nanoseconds since 1970", epoch(1)},
	{"from_epoch", "from_epoch(seconds)", "a time from seconds since 1970", makeFromEpoch},
	{"in_cidr", "in_cidr(address, network, …)", "whether an address lies in one of the networks", makeInCIDR},
	{"network", "network(address, bits[, bits of IPv6])", "the network around an address, as text", makeNetwork},
}

// aliases are other names of functions.
var aliases = map[string]string{
	"ceiling": "ceil", "lcase": "lower", "ucase": "upper", "char_length": "length", "len": "length", "substring": "substr",
	"strpos": "position", "instr": "position", "ifnull": "coalesce", "nvl": "coalesce", "iif": "if", "time_bucket": "date_bin", "extract": "date_part",
	"cidr_match": "in_cidr", "regexp_like": "regexp_matches", "log": "log10", "datetrunc": "date_trunc", "datepart": "date_part",
	"regexp_substr": "regexp_extract",
}

var byName = func() map[string]*Function {
	m := make(map[string]*Function)
	for i := range Functions {
		m[Functions[i].Name] = &Functions[i]
	}
	for alias, name := range aliases {
		m[alias] = m[name]
	}
	return m
}()

// Call calls a function. found is false if there is none of that name.
func Call(name string, args []Expr) (e Expr, found bool, err error) {
	f, ok := byName[name]
	if !ok {
		return nil, false, nil
	}
	if (name == "strpos" || name == "instr") && len(args) == 2 {
		args = []Expr{args[1], args[0]}
	}
	if e, err = f.make(args); err == errUsage {
		err = typeError("it is called as %s", f.Usage)
	}
	return e, true, err
}

// errUsage is for arguments that are not those of the function.
var errUsage = typeError("usage")

func same(n int64) int64 { return n }

// perRow is a function of one vector, computed in a loop of its own.
type perRow struct {
	args []Expr
	typ  Type
	loop func(f *Frame, args []Vec, n int, out *Vec) // fills out, whose rows have a value where all args have
	any  bool                                        // out has a value in every row, nulls in args or not
}

func (p *perRow) Type() Type       { return p.typ }
func (p *perRow) children() []Expr { return p.args }

func (p *perRow) eval(f *Frame, sel []int32, n int) Vec {
	out := Vec{Type: p.typ, Const: true}
	args := make([]Vec, len(p.args))
	for i, a := range p.args {
		args[i] = a.eval(f, sel, n)
		out.Const = out.Const && args[i].Const
	}
	if out.Const {
		n = min(n, 1)
	}
	if !p.any {
		for i := range args {
			if valid := args[i].validity(n); valid != nil {
				other := Vec{Valid: valid}
				if out.Valid == nil {
					out.Valid = valid
				} else {
					mine := Vec{Valid: out.Valid}
					out.Valid = bothValid(&mine, &other, n)
				}
			}
		}
	}
	p.loop(f, args, n, &out)
	return out
}

// textOut fills a text vector.
func textOut(out *Vec, n int, of func(i int) (string, bool)) {
	out.Text.Offsets = make([]int32, 1, n+1)
	for i := range n {
		if out.Valid.At(i) {
			s, ok := of(i)
			if !ok {
				out.clear(i)
			}
			out.Text.Bytes = append(out.Text.Bytes, s...)
		}
		out.Text.Offsets = append(out.Text.Offsets, int32(len(out.Text.Bytes)))
	}
}

// asText makes arguments texts.
func asText(args ...Expr) ([]Expr, error) {
	out := make([]Expr, len(args))
	for i, a := range args {
		if a.Type() == TypeMap {
			return nil, typeError("attrs as a whole cannot be used here: name a key, attrs['key']")
		}
		var err error
		if out[i], err = NewCast(a, TypeText); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func text(of func(string) string) func([]Expr) (Expr, error) {
	return func(args []Expr) (Expr, error) {
		if len(args) != 1 {
			return nil, errUsage
		}
		args, err := asText(args...)
		if err != nil {
			return nil, err
		}
		return finish(&perRow{args: args, typ: TypeText, loop: func(_ *Frame, v []Vec, n int, out *Vec) {
			textOut(out, n, func(i int) (string, bool) { return of(v[0].Str(i)), true })
		}}), nil
	}
}

func length(of func(string) int) func([]Expr) (Expr, error) {
	return func(args []Expr) (Expr, error) {
		if len(args) != 1 {
			return nil, errUsage
		}
		args, err := asText(args...)
		if err != nil {
			return nil, err
		}
		return finish(&perRow{args: args, typ: TypeInt, loop: func(_ *Frame, v []Vec, n int, out *Vec) {
			out.Ints = make([]int64, n)
			for i := range out.Ints {
				out.Ints[i] = int64(of(v[0].Str(i)))
			}
		}}), nil
	}
}

func float(of func(float64) float64) func([]Expr) (Expr, error) {
	return func(args []Expr) (Expr, error) {
		if len(args) != 1 {
			return nil, errUsage
		}
		x, err := NewCast(args[0], TypeFloat)
		if err != nil || args[0].Type().stringy() {
			return nil, errUsage
		}
		return finish(&perRow{args: []Expr{x}, typ: TypeFloat, loop: func(_ *Frame, v []Vec, n int, out *Vec) {
			out.Floats = make([]float64, n)
			for i, x := range v[0].Floats[:n] {
				out.Floats[i] = of(x)
			}
			out.dropOdd()
		}}), nil
	}
}

// number is a function that keeps the type of its argument.
func number(ofFloat func(float64) float64, ofInt func(int64) int64) func([]Expr) (Expr, error) {
	return func(args []Expr) (Expr, error) {
		if len(args) != 1 {
			return nil, errUsage
		}
		switch t := args[0].Type(); {
		case t == TypeInt, t == TypeSpan:
			return finish(&perRow{args: args, typ: t, loop: func(_ *Frame, v []Vec, n int, out *Vec) {
				out.Ints = make([]int64, n)
				for i, x := range v[0].Ints[:n] {
					out.Ints[i] = ofInt(x)
				}
			}}), nil
		case t == TypeFloat:
			return float(ofFloat)(args)
		case t == TypeNull:
			return args[0], nil
		}
		return nil, errUsage
	}
}

// wholeArg reads an argument that must be a constant whole number.
func wholeArg(e Expr) (int64, bool) {
	v, ok := ConstValue(e)
	return v.Int, ok && v.Type == TypeInt && !v.Null
}

// textArg reads an argument that must be a constant text.
func textArg(e Expr) (string, bool) {
	v, ok := ConstValue(e)
	return v.Text, ok && v.Type == TypeText && !v.Null
}

func makeRound(args []Expr) (Expr, error) {
	digits := int64(0)
	if len(args) == 2 {
		var ok bool
		if digits, ok = wholeArg(args[1]); !ok || digits < -18 || digits > 18 {
			return nil, errUsage
		}
		args = args[:1]
	}
	scale := math.Pow(10, float64(digits))
	f := number(func(x float64) float64 {
		y := math.Round(x*scale) / scale
		if y-y != 0 {
			return x
		}
		return y
	}, same)
	return f(args)
}

func reverse(s string) string {
	r := []rune(s)
	for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
		r[i], r[j] = r[j], r[i]
	}
	return string(r)
}

func makeLeft(args []Expr) (Expr, error) {
	if len(args) != 2 {
		return nil, errUsage
	}
	return makeSubstr([]Expr{args[0], Const(Int(1)), args[1]})
}

func makeSubstr(args []Expr) (Expr, error) {
	if len(args) != 2 && len(args) != 3 {
		return nil, errUsage
	}
	for _, a := range args[1:] {
		if a.Type() != TypeInt {
			return nil, errUsage
		}
	}
	s, err := asText(args[0])
	if err != nil {
		return nil, err
	}
	all := append(s, args[1:]...)
	return finish(&perRow{args: all, typ: TypeText, loop: func(_ *Frame, v []Vec, n int, out *Vec) {
		textOut(out, n, func(i int) (string, bool) {
			count := int64(math.MaxInt32)
			if len(v) == 3 {
				count = v[2].Ints[v[2].at(i)]
			}
			return substr(v[0].Str(i), v[1].Ints[v[1].at(i)], count), true
		})
	}}), nil
}

// substr counts characters from 1; places before the first are passed over.
func substr(s string, from, count int64) string {
	if count < 0 {
		return ""
	}
	to := int64(math.MaxInt64)
	if from < math.MaxInt64-count {
		to = from + count
	}
	at, begin, end := int64(1), len(s), len(s)
	for i := range s {
		if at == max(from, 1) {
			begin = i
		}
		if at == to {
			end = i
			break
		}
		at++
	}
	if to <= max(from, 1) || begin >= end {
		return ""
	}
	return s[begin:end]
}

func makeReplace(args []Expr) (Expr, error) {
	if len(args) != 3 {
		return nil, errUsage
	}
	args, err := asText(args...)
	if err != nil {
		return nil, err
	}
	return finish(&perRow{args: args, typ: TypeText, loop: func(_ *Frame, v []Vec, n int, out *Vec) {
		textOut(out, n, func(i int) (string, bool) {
			if old := v[1].Str(i); old != "" {
				return strings.ReplaceAll(v[0].Str(i), old, v[2].Str(i)), true
			}
			return v[0].Str(i), true
		})
	}}), nil
}

func makeSplitPart(args []Expr) (Expr, error) {
	if len(args) != 3 || args[2].Type() != TypeInt {
		return nil, errUsage
	}
	s, err := asText(args[:2]...)
	if err != nil {
		return nil, err
	}
	return finish(&perRow{args: append(s, args[2]), typ: TypeText, loop: func(_ *Frame, v []Vec, n int, out *Vec) {
		textOut(out, n, func(i int) (string, bool) {
			by := v[1].Str(i)
			if by == "" {
				return "", false
			}
			list := strings.Split(v[0].Str(i), by)
			k := v[2].Ints[v[2].at(i)]
			if k < 0 {
				k += int64(len(list)) + 1
			}
			if k < 1 || k > int64(len(list)) {
				return "", false
			}
			return list[k-1], true
		})
	}}), nil
}

// Join is a || b: null if either is.
func Join(a, b Expr) (Expr, error) {
	args, err := asText(a, b)
	if err != nil {
		return nil, err
	}
	return finish(&perRow{args: args, typ: TypeText, loop: func(_ *Frame, v []Vec, n int, out *Vec) {
		textOut(out, n, func(i int) (string, bool) { return v[0].Str(i) + v[1].Str(i), true })
	}}), nil
}

func makeConcat(args []Expr) (Expr, error) {
	if len(args) == 0 {
		return nil, errUsage
	}
	args, err := asText(args...)
	if err != nil {
		return nil, err
	}
	return finish(&perRow{args: args, typ: TypeText, any: true, loop: func(_ *Frame, v []Vec, n int, out *Vec) {
		textOut(out, n, func(i int) (string, bool) {
			s := ""
			for k := range v {
				if !v[k].IsNull(i) {
					s += v[k].Str(i)
				}
			}
			return s, true
		})
	}}), nil
}

func literalTest(of func(Expr, string) (Expr, error)) func([]Expr) (Expr, error) {
	return func(args []Expr) (Expr, error) {
		if len(args) != 2 {
			return nil, errUsage
		}
		s, ok := textArg(args[1])
		if !ok {
			return nil, typeError("what is looked for must be a string, as in contains(path, '/admin')")
		}
		return of(args[0], s)
	}
}

func makePosition(args []Expr) (Expr, error) {
	if len(args) != 2 {
		return nil, errUsage
	}
	args, err := asText(args...)
	if err != nil {
		return nil, err
	}
	return finish(&perRow{args: args, typ: TypeInt, loop: func(_ *Frame, v []Vec, n int, out *Vec) {
		out.Ints = make([]int64, n)
		for i := range out.Ints {
			s := v[1].Str(i)
			if at := strings.Index(s, v[0].Str(i)); at >= 0 {
				out.Ints[i] = int64(utf8.RuneCountInString(s[:at])) + 1
			}
		}
	}}), nil
}

func makeExtract(args []Expr) (Expr, error) {
	group := int64(0)
	if len(args) == 3 {
		var ok bool
		if group, ok = wholeArg(args[2]); !ok {
			return nil, errUsage
		}
		args = args[:2]
	}
	if len(args) != 2 {
		return nil, errUsage
	}
	pattern, ok := textArg(args[1])
	if !ok || len(pattern) > maxPattern {
		return nil, errUsage
	}
	re, err := regexp.Compile(pattern)
	if err != nil || group < 0 || int(group) > re.NumSubexp() {
		return nil, typeError("not a regular expression (RE2) with that group, or one that grows too large")
	}
	s, err := asText(args[0])
	if err != nil {
		return nil, err
	}
	return finish(&perRow{args: s, typ: TypeText, loop: func(_ *Frame, v []Vec, n int, out *Vec) {
		textOut(out, n, func(i int) (string, bool) {
			s := v[0].Str(i)
			m := re.FindStringSubmatchIndex(s)
			if m == nil || m[2*group] < 0 {
				return "", false
			}
			return s[m[2*group]:m[2*group+1]], true
		})
	}}), nil
}

func makeCoalesce(args []Expr) (Expr, error) {
	if len(args) == 0 {
		return nil, errUsage
	}
	list, typ, err := OneType(args)
	if err != nil {
		return nil, err
	}
	return finish(&coalesce{list, typ}), nil
}

func makeNullIf(args []Expr) (Expr, error) {
	if len(args) != 2 {
		return nil, errUsage
	}
	same, err := NewCompare(Equal, args[0], args[1])
	if err != nil {
		return nil, err
	}
	return NewCase([]Expr{same}, []Expr{Const(Value{Type: args[0].Type(), Null: true}), args[0]})
}

func makeIf(args []Expr) (Expr, error) {
	if len(args) != 3 {
		return nil, errUsage
	}
	return NewCase(args[:1], args[1:])
}

func extreme(op Op) func([]Expr) (Expr, error) {
	return func(args []Expr) (Expr, error) {
		if len(args) == 0 {
			return nil, errUsage
		}
		list, typ, err := OneType(args)
		if err != nil {
			return nil, err
		}
		return finish(&perRow{args: list, typ: typ, any: true, loop: func(_ *Frame, v []Vec, n int, out *Vec) {
			if typ.stringy() {
				out.Text.Offsets = make([]int32, 1, n+1)
			}
			for i := range n {
				best := 0
				for k := range v {
					if !v[k].IsNull(i) && (v[best].IsNull(i) || holds(op, Compare(&v[k], i, &v[best], i))) {
						best = k
					}
				}
				out.Append(&v[best], i, i)
			}
			if n == 0 {
				out.size(0)
			}
		}}), nil
	}
}

func makeTrunc(args []Expr) (Expr, error) {
	if len(args) != 2 {
		return nil, errUsage
	}
	unit, ok := textArg(args[0])
	if !ok {
		return nil, errUsage
	}
	return Truncate(unit, args[1])
}

func makeBin(args []Expr) (Expr, error) {
	if len(args) != 2 && len(args) != 3 {
		return nil, errUsage
	}
	step, ok := ConstValue(args[0])
	if ok && step.Type == TypeText {
		step, ok = Parse(step.Text, TypeSpan)
	}
	if !ok || step.Type != TypeSpan {
		return nil, errUsage
	}
	origin := Value{}
	if len(args) == 3 {
		origin, ok = ConstValue(args[2])
		if ok && origin.Type == TypeText {
			origin, ok = Parse(origin.Text, TypeTime)
		}
		if !ok || origin.Type != TypeTime {
			return nil, errUsage
		}
	}
	return Bin(args[1], step.Int, origin.Int)
}

func makePart(args []Expr) (Expr, error) {
	if len(args) != 2 {
		return nil, errUsage
	}
	field, ok := textArg(args[0])
	if !ok {
		return nil, errUsage
	}
	return Part(field, args[1])
}

func epoch(unit int64) func([]Expr) (Expr, error) {
	return func(args []Expr) (Expr, error) {
		if len(args) != 1 || args[0].Type() != TypeTime {
			return nil, errUsage
		}
		return finish(&perRow{args: args, typ: TypeInt, loop: func(_ *Frame, v []Vec, n int, out *Vec) {
			out.Ints = make([]int64, n)
			for i, x := range v[0].Ints[:n] {
				out.Ints[i] = floorDiv(x, unit)
			}
		}}), nil
	}
}

func makeFromEpoch(args []Expr) (Expr, error) {
	if len(args) != 1 {
		return nil, errUsage
	}
	nanos, err := NewArith("*", args[0], Const(Int(1e9)))
	if err != nil {
		return nil, errUsage
	}
	whole, err := NewCast(nanos, TypeInt)
	if err != nil {
		return nil, errUsage
	}
	return NewCast(whole, TypeTime)
}

func makeInCIDR(args []Expr) (Expr, error) {
	if len(args) < 2 {
		return nil, errUsage
	}
	var networks []string
	for _, a := range args[1:] {
		s, ok := textArg(a)
		if !ok {
			return nil, errUsage
		}
		networks = append(networks, s)
	}
	return InNetwork(args[0], networks, false)
}

func makeNetwork(args []Expr) (Expr, error) {
	if len(args) != 2 && len(args) != 3 || args[0].Type() != TypeAddr {
		return nil, errUsage
	}
	bits4, ok := wholeArg(args[1])
	bits6 := bits4
	if ok && len(args) == 3 {
		bits6, ok = wholeArg(args[2])
	}
	if !ok || bits4 < 0 || bits4 > 128 || bits6 < 0 || bits6 > 128 {
		return nil, errUsage
	}
	return finish(&perRow{args: args[:1], typ: TypeText, loop: func(_ *Frame, v []Vec, n int, out *Vec) {
		textOut(out, n, func(i int) (string, bool) {
			return toNetwork(*v[0].Addr(i), int(bits4), int(bits6)), true
		})
	}}), nil
}
