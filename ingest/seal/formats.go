package seal

// format is a known form of credential: prefix, then at least min characters
// of a set.
type format struct {
	kind   string // token kind of the row, should it be its only credential
	prefix string
	set    set
	min    int
	flags  flag
}

type flag uint8

const (
	atStart flag = 1 << iota // no letter or digit before the prefix
	random                   // the rest must look random
	exact                    // no more characters of the set than min
	jwt                      // two dots in the rest
	afterID                  // digits and a colon before the prefix
)

type set uint8

const (
	alnum   set = iota // A-Z a-z 0-9
	urlSafe            // and - _
	dotted             // and .
	base64             // and + / =
	hex                // 0-9 a-f A-F
)

// formats lists the known forms. Prefixes and lengths are those the issuers
// publish, with lengths taken as minima since issuers make tokens longer.
var formats = []format{
	{"github", "ghp_", alnum, 30, 0},
	{"github", "gho_", alnum, 30, 0},
	{"github", "ghu_", alnum, 30, 0},
	{"github", "ghs_", dotted, 30, 0},
	{"github", "ghr_", alnum, 30, 0},
	{"github", "github_pat_", urlSafe, 22, 0},
	{"gitlab", "glpat-", dotted, 18, 0},
	{"gitlab", "glptt-", urlSafe, 18, 0},
	{"gitlab", "gldt-", urlSafe, 18, atStart},
	{"gitlab", "glrt-", dotted, 18, atStart},
	{"slack", "xoxa-", urlSafe, 15, 0},
	{"slack", "xoxb-", urlSafe, 15, 0},
	{"slack", "xoxe-", urlSafe, 15, 0},
	{"slack", "xoxe.xox", dotted, 15, 0},
	{"slack", "xoxp-", urlSafe, 15, 0},
	{"slack", "xoxr-", urlSafe, 15, 0},
	{"slack", "xoxs-", urlSafe, 15, 0},
	{"slack", "xapp-", urlSafe, 15, 0},
	{"stripe", "sk_live_", alnum, 16, 0},
	{"stripe", "sk_test_", alnum, 16, 0},
	{"stripe", "rk_live_", alnum, 16, 0},
	{"stripe", "rk_test_", alnum, 16, 0},
	{"stripe", "whsec_", base64, 20, atStart},
	{"google", "AIza", urlSafe, 30, 0},
	{"google", "ya29.", urlSafe, 20, 0},
	{"google", "GOCSPX-", urlSafe, 20, 0},
	{"google", "1//0", urlSafe, 30, atStart},
	{"jwt", "eyJ", dotted, 20, jwt},
	{"npm", "npm_", alnum, 30, 0},
	{"pypi", "pypi-", urlSafe, 40, 0},
	{"sendgrid", "SG.", dotted, 30, atStart | random},
	{"twilio", "SK", hex, 32, atStart | exact},
	{"vault", "hvs.", urlSafe, 20, atStart},
	{"vault", "hvb.", urlSafe, 20, atStart},
	{"vault", "hvr.", urlSafe, 20, atStart},
	{"vault", "s.", alnum, 24, atStart | random | exact},
	{"vault", "b.", alnum, 60, atStart | random},
	{"digitalocean", "dop_v1_", hex, 40, 0},
	{"digitalocean", "doo_v1_", hex, 40, 0},
	{"digitalocean", "dor_v1_", hex, 40, 0},
	{"shopify", "shpat_", hex, 30, 0},
	{"shopify", "shpca_", hex, 30, 0},
	{"shopify", "shppa_", hex, 30, 0},
	{"shopify", "shpss_", hex, 30, 0},
	{"huggingface", "hf_", alnum, 30, atStart},
	{"anthropic", "sk-ant-", urlSafe, 20, 0},
	{"openai", "sk-", urlSafe, 20, atStart | random},
	{"databricks", "dapi", hex, 32, atStart},
	{"doppler", "dp.pt.", alnum, 30, atStart},
	{"doppler", "dp.st.", dotted, 30, atStart},
	{"linear", "lin_api_", alnum, 30, 0},
	{"newrelic", "NRAK-", alnum, 20, 0},
	{"atlassian", "ATATT3", base64, 30, 0},
	{"age", "AGE-SECRET-KEY-1", alnum, 30, 0},
	{"telegram", "AA", urlSafe, 31, afterID},
	{"square", "EAAA", urlSafe, 56, atStart},
	{"square", "sq0atp-", urlSafe, 20, 0},
	{"square", "sq0csp-", urlSafe, 20, 0},
}

// formatsBy finds the formats that begin with a byte.
var formatsBy = func() (t [256][]*format) {
	for i := range formats {
		f := &formats[i]
		t[f.prefix[0]] = append(t[f.prefix[0]], f)
	}
	return t
}()

// formatHeads tells for the first byte of formats which second bytes they have,
// as a bit for the lower five bits of it.
var formatHeads = func() (t [256]uint32) {
	for i := range formats {
		p := formats[i].prefix
		t[p[0]] |= 1 << (p[1] & 31)
	}
	return t
}()

// inSet tells which bytes belong to a set.
var inSet = func() (t [256]uint8) {
	for c := range 256 {
		b := byte(c)
		cl := classes[c]
		for s, ok := range [...]bool{
			alnum:   cl&isAlnum != 0,
			urlSafe: cl&isAlnum != 0 || b == '-' || b == '_',
			dotted:  cl&isAlnum != 0 || b == '-' || b == '_' || b == '.',
			base64:  cl&isAlnum != 0 || b == '-' || b == '_' || b == '+' || b == '/' || b == '=',
			hex:     cl&isDigit != 0 || (b|0x20 >= 'a' && b|0x20 <= 'f'),
		} {
			if ok {
				t[c] |= 1 << s
			}
		}
	}
	return t
}()

// match returns the end of a credential of form f at t[at:], 0 if there is
// none, and how many bytes it looked at.
func (f *format) match(t []byte, at int) (end, tried int) {
	if len(t)-at < len(f.prefix)+f.min || string(t[at:at+len(f.prefix)]) != f.prefix {
		return 0, 0
	}
	if f.flags&atStart != 0 && at > 0 && classes[t[at-1]]&isAlnum != 0 {
		return 0, 0
	}
	if f.flags&afterID != 0 && (at < 2 || t[at-1] != ':' || classes[t[at-2]]&isDigit == 0) {
		return 0, 0
	}
	start := at + len(f.prefix)
	dots := 0
	for end = start; end < len(t) && inSet[t[end]]&(1<<f.set) != 0; end++ {
		if t[end] == '.' {
			dots++
		}
	}
	for tried = end - at; end > start && t[end-1] == '.'; end-- { // the end of a sentence
	}
	rest := t[start:end]
	switch {
	case len(rest) < f.min,
		f.flags&exact != 0 && len(rest) > f.min,
		f.flags&jwt != 0 && dots < 2,
		f.flags&random != 0 && unexplained(rest) < min(12, f.min):
		return 0, tried
	}
	return end, tried
}

// formatOf returns the form that a whole credential has, nil if none.
func formatOf(secret []byte) *format {
	if len(secret) == 0 {
		return nil
	}
	for _, f := range formatsBy[secret[0]] {
		if end, _ := f.match(secret, 0); end == len(secret) {
			return f
		}
	}
	return nil
}

// hasForm tells whether a text has a credential of a known form in it, as it stands.
func hasForm(t []byte) bool {
	for at := range t {
		for _, f := range formatsBy[t[at]] {
			if end, _ := f.match(t, at); end > 0 {
				return true
			}
		}
		if issued(t, at) > 0 {
			return true
		}
	}
	return false
}

// issued returns the end of a token "xxx_" and 20 or more random letters and
// digits that begins at t[at:], 0 if there is none. The prefix is two to four
// words of lower case and digits: whoever names a token's kind in it does so to
// have it found.
func issued(t []byte, at int) int {
	if at > 0 && classes[t[at-1]]&(isAlnum|isJoin) != 0 {
		return 0
	}
	i, under := at, 0
	for words := 0; words < 4; words++ {
		start := i
		for i < len(t) && classes[t[i]]&(isLower|isDigit) != 0 {
			i++
		}
		if i == start || i-start > 12 || i >= len(t) || t[i] != '_' || classes[t[start]]&isDigit != 0 {
			break
		}
		i++
		under = i
	}
	if under-at < 3 {
		return 0
	}
	end := under
	for end < len(t) && classes[t[end]]&isAlnum != 0 {
		end++
	}
	if end-under < minRun || unexplained(t[under:end]) < minUnexplained || isID(t[at:end]) {
		return 0
	}
	return end
}
