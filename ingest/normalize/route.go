package normalize

import "bytes"

// Bounds of a route template: a path that has more becomes "/…/{rest}".
const (
	maxSegments    = 16
	maxRouteLength = 256
	maxWordLength  = 48
)

// AppendRoute appends the route template of a path: the path without query,
// fragment, scheme and host, without empty segments, and with every segment that
// names one thing rather than a kind of things replaced. The first rule that
// fits a segment decides:
//
//	{email}  holds an @
//	{date}   2024-01-31, 2024-01, 20240131, 2024-01-31T…
//	{id}     digits; hexadecimal digits, 8 or more with a digit among them; a UUID
//	{text}   a percent-encoded or raw byte outside ASCII, control characters,
//	         quotes, angle brackets; percent-encoding that is not a plain word
//	{id}     a prefix and an opaque rest (prd_8fK2…, ab-9Xy…), letters and digits
//	         mixed as in ULID, base62 or base64; a word with a number (kilo-551)
//	{text}   longer than 48 bytes
//
// A version (v1, v2beta1) and words stay, and so does a file's extension behind
// an id: {id}.jpg. The result is at most 256 bytes and 16 segments long.
func AppendRoute(dst, path []byte) []byte {
	if i := bytes.IndexByte(path, '?'); i >= 0 {
		path = path[:i]
	}
	if i := bytes.IndexByte(path, '#'); i >= 0 {
		path = path[:i]
	}
	if len(path) > 0 && path[0] != '/' {
		if i := bytes.Index(path, []byte("://")); i >= 0 && i < 12 {
			path = path[i+3:]
			if j := bytes.IndexByte(path, '/'); j >= 0 {
				path = path[j:]
			} else {
				path = nil
			}
		}
	}
	start, count := len(dst), 0
	for len(path) > 0 {
		var seg []byte
		if i := bytes.IndexByte(path, '/'); i >= 0 {
			seg, path = path[:i], path[i+1:]
		} else {
			seg, path = path, nil
		}
		if len(seg) == 0 {
			continue
		}
		if count++; count > maxSegments || len(dst)-start > maxRouteLength-maxWordLength-8 {
			return append(dst, "/{rest}"...)
		}
		dst = append(dst, '/')
		dst = appendSegment(dst, seg)
	}
	if len(dst) == start {
		dst = append(dst, '/')
	}
	return dst
}

func appendSegment(dst, seg []byte) []byte {
	if len(seg) <= maxWordLength { // the common cases
		n := tally(seg)
		switch {
		case n/oneLower%256 == uint64(len(seg)), n&^plainOnes == 0 && isVersion(seg):
			return append(dst, seg...)
		case n == uint64(len(seg))*oneDigit && !isDate(seg):
			return append(dst, "{id}"...)
		}
		return appendOther(dst, seg, traitsOf(n, seg))
	}
	return appendOther(dst, seg, look(seg))
}

// appendOther appends a segment that is neither word nor version nor number.
func appendOther(dst, seg []byte, t traits) []byte {
	if t.at {
		return append(dst, "{email}"...)
	}
	if isDate(seg) {
		return append(dst, "{date}"...)
	}
	if t.strange || t.percent {
		return append(dst, "{text}"...)
	}
	if isID(seg, t) {
		return append(dst, "{id}"...)
	}
	if i := bytes.LastIndexByte(seg, '.'); i > 0 && len(seg)-i <= 6 {
		if ext, stem := seg[i:], seg[:i]; isID(stem, look(stem)) && look(ext).digits == 0 {
			return append(append(dst, "{id}"...), ext...)
		}
	}
	if len(seg) > maxWordLength {
		return append(dst, "{text}"...)
	}
	return append(dst, seg...)
}

// isDate knows 2024-01-31 and what begins with it, 2024-01 and 20240131.
func isDate(s []byte) bool {
	if len(s) < 7 || two(s, 0) < 19 || two(s, 0) > 20 || two(s, 2) < 0 {
		return false
	}
	if s[4] == '-' {
		m := two(s, 5)
		if m < 1 || m > 12 || len(s) == 7 {
			return len(s) == 7 && m >= 1 && m <= 12
		}
		return len(s) >= 10 && s[7] == '-' && two(s, 8) >= 1 && two(s, 8) <= 31 && (len(s) == 10 || s[10]|0x20 == 't')
	}
	return len(s) == 8 && two(s, 4) >= 1 && two(s, 4) <= 12 && two(s, 6) >= 1 && two(s, 6) <= 31
}

func isID(s []byte, t traits) bool {
	letters := t.upper + t.lower
	switch {
	case len(s) == 0 || t.digits == 0 && (t.upper < 3 || t.lower < 3 || len(s) < 20):
		return false
	case t.digits == len(s):
		return true
	case isVersion(s):
		return false
	case t.digits+t.hexLetters == len(s) && len(s) >= 8:
		return true
	case isUUID(s, t):
		return true
	}
	if i := max(t.dash, t.under); i > 0 && i < len(s)-1 { // a prefix and a rest
		rest := s[i+1:]
		r := look(rest)
		if r.digits == len(rest) || len(rest) >= 8 && r.digits > 0 && r.other == 0 {
			return true
		}
	}
	if i := bytes.IndexAny(s, "_-"); i > 0 && i <= 8 && len(s)-i > 16 && t.digits >= 2 && t.upper > 0 {
		return true // base64url behind a prefix
	}
	changes := 0 // between letters and digits, and between cases
	for i := 1; i < len(s); i++ {
		if (counts[s[i]]^counts[s[i-1]])&(oneDigit|oneLower|oneUpper) != 0 {
			changes++
		}
	}
	switch {
	case t.other == 0 && len(s) >= 10 && t.digits >= 2 && letters > 0 && changes >= 4:
		return true
	case t.digits >= 2 && len(s) >= 20 && changes >= 6:
		return true
	case t.digits == 0 && len(s) >= 20 && 3*changes >= len(s):
		return true // letters only, but cases all mixed
	case t.other == 0 && t.digits >= 4 && letters <= 4:
		return true // A10293, INV20931
	}
	return false
}

// isVersion knows v1, v1.2, v2beta1.
func isVersion(s []byte) bool {
	if len(s) < 2 || len(s) > 9 || s[0]|0x20 != 'v' || s[1] < '0' || s[1] > '9' {
		return false
	}
	return true
}

func isUUID(s []byte, t traits) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	return t.digits+t.hexLetters == 32
}
