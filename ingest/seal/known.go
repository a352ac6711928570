package seal

import (
	"bytes"

	"github.com/tokenwatch/tokenwatch"
)

// known finds known formats, and values named as secrets, in a view of field i.
func (s *Sealer) known(i int, v *view) {
	t := v.b
	runEnd := 0 // of the run of what formats are made of that at is in
	for at := 0; at < len(t); {
		end := 0
		switch c := t[at]; {
		case kinds[c]&isHead != 0:
			if runEnd <= at {
				var dull bool
				if runEnd, dull = runOn(t, at); dull && !s.plain {
					end = runEnd
					break
				}
			}
			if s.plain || runEnd-at >= minRun {
				end = s.format(i, v, at)
			}
		case c == '-' && bytes.HasPrefix(t[at:], pemBegin):
			end = pem(t, at)
			if end > 0 {
				s.found(i, v, at, end)
			}
		case c == '/' && at+1 < len(t) && t[at+1] == '/':
			end = s.userinfo(i, v, at+2)
		case classes[c]&isNaming != 0 && mayEndName(t, at):
			switch c {
			case '=', ':':
				end = s.named(i, v, at)
			case '>':
				end = s.element(i, v, at)
			default:
				end = s.schemed(i, v, at)
			}
		}
		at = max(end, at+1)
		if s.work < 0 {
			return
		}
	}
}

// runOn returns the end of the run of bytes that t[at] is in, of which all
// formats are made. It is dull if it has no known format: none is shorter than
// minRun, or made of lower hex digits only. Nothing else begins in a dull run.
func runOn(t []byte, at int) (end int, dull bool) {
	all := isLowHex
	for end = at; end < len(t) && kinds[t[end]]&isRunOn != 0; end++ {
		all &= kinds[t[end]]
	}
	return end, all != 0
}

// format finds a known format or an issued token that begins at t[at:], and
// returns its end, 0 if there is none.
func (s *Sealer) format(i int, v *view, at int) int {
	t := v.b
	if s.plain || formatHeads[t[at]]>>(t[min(at+1, len(t)-1)]&31)&1 != 0 {
		for _, f := range formatsBy[t[at]] {
			end, tried := f.match(t, at)
			if !s.spend(i, tried) {
				return 0
			}
			if end > 0 {
				s.found(i, v, at, end)
				return end
			}
		}
	}
	if at > 0 && classes[t[at-1]]&(isAlnum|isJoin) != 0 {
		return 0
	}
	if lo, hi := hooked(t, at); hi > 0 {
		s.found(i, v, lo, hi)
		return hi
	}
	end := issued(t, at)
	if end == 0 {
		return 0
	}
	for j := at; j < end; j++ { // the rest of what begins in it, as a JWT behind a prefix
		for _, f := range formatsBy[t[j]] {
			far, tried := f.match(t, j)
			if !s.spend(i, tried) {
				return 0
			}
			end = max(end, far)
		}
	}
	s.found(i, v, at, end)
	return end
}

var pemBegin = []byte("-----BEGIN ")

// pem returns the end of a private key in PEM that begins at t[at:].
func pem(t []byte, at int) int {
	rest := t[at+len(pemBegin):]
	label := bytes.Index(rest, []byte("PRIVATE KEY"))
	if label < 0 || label > 24 {
		return 0
	}
	end := bytes.Index(rest, []byte("-----END "))
	if end < 0 {
		return len(t)
	}
	tail := bytes.Index(rest[end+9:], []byte("-----"))
	if tail < 0 {
		return len(t)
	}
	return at + len(pemBegin) + end + 9 + tail + 5
}

// looking finds runs that look like secrets in a view of field i.
func (s *Sealer) looking(i int, v *view) {
	t := v.b
	for lo := 0; lo < len(t); lo++ {
		if classes[t[lo]]&isWide == 0 {
			continue
		}
		hi, wide := lo, uint8(0)
		for hi < len(t) && classes[t[hi]]&isWide != 0 {
			wide |= classes[t[hi]]
			hi++
		}
		switch run := t[lo:hi]; {
		case exempt(t, lo, hi):
		case wide&isSlash != 0 && len(run) >= minMixed && wide&isAlnum == isAlnum && dense(run):
			s.looked(i, v, lo, hi)
		default:
			for a := lo; a < hi; a++ {
				b := a
				for b < hi && classes[t[b]]&isWord != 0 {
					b++
				}
				if looksSecret(t[a:b]) {
					s.looked(i, v, a, b)
				}
				a = b
			}
		}
		lo = hi
	}
}

func (s *Sealer) looked(i int, v *view, lo, hi int) {
	s.mark(i, v, lo, hi, rankLooks, "")
	if f := &s.fields[i]; f.attr < 0 && f.col == tokenwatch.ColPath {
		run := v.b[lo:hi]
		if v.from != nil {
			run = s.keep(run)
		}
		s.needles.addDerived(run, s.digest(run))
	}
}

// dense tells whether nearly nothing of a run with slashes is explained: it is
// base64 and no path.
func dense(run []byte) bool {
	enough := max(minRun, (7*len(run)+9)/10)
	return longParts(run) >= enough && unexplained(run) >= enough
}

// longParts counts the letters and digits that may be unexplained, cheaply.
func longParts(run []byte) (n int) {
	for start := 0; start < len(run); {
		end := start
		for end < len(run) && classes[run[end]]&isAlnum != 0 {
			end++
		}
		if end-start >= minPart {
			n += end - start
		}
		start = end + 1
	}
	return n
}

// exempt tells whether the run [lo, hi) of t is part of an ARN or an e-mail address.
func exempt(t []byte, lo, hi int) bool {
	if hi < len(t) && t[hi] == '@' && (lo == 0 || t[lo-1] != ':') && hi+1 < len(t) && classes[t[hi+1]]&isAlnum != 0 && !bytes.Contains(t[max(0, lo-3):lo], []byte("//")) {
		return bytes.IndexByte(t[hi+1:], '.') >= 0
	}
	if lo > 0 && t[lo-1] != ':' && t[lo-1] != '@' {
		return false
	}
	start := lo
	for start > 0 && lo-start < 256 && (classes[t[start-1]]&isWide != 0 || t[start-1] == ':') {
		start--
	}
	return bytes.HasPrefix(t[start:], []byte("arn:"))
}
