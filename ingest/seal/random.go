package seal

// What looks like a secret (step 4). A run of word characters (letters, digits
// and - _ . ~), or of base64, is one if it has at least minRun characters
// (base64 with + and /: minMixed) and, after what is explained is taken away,
// minConcentrated characters are left in one part between - _ . ~ + / or
// minUnexplained in all, which must be most of the run. Explained are:
//
//   - parts of fewer than minPart characters, or of digits only;
//   - parts that are hex digits of one case, up to 24 of them, as in ids of cloud
//     resources, spans and objects;
//   - a random UUID without dashes at the end of a part;
//   - sequences of four or more letters of one case, or of one capital and then
//     small ones, that go together as in English (table bigrams);
//   - the whole run, if it is a UUID or begins with a provider's prefix of ids.
//
// Other hex runs of 32 and more are secrets by this rule: an MD5 in a path
// becomes a digest, which still groups and joins.
const (
	minUnexplained  = 15
	minConcentrated = 20
	minPart         = 8
)

// bigrams lists for each letter those that follow it in 98.5 % of the letter
// pairs of English technical text.
var bigrams = func() (t [26]uint32) {
	for i, next := range [26]string{
		"abcdefgiklmnprstuvxy", "aeijlorsuy", "acdehiklorstuy", "adeilorsuy", "abcdefgilmnopqrstvwxy",
		"aefilmorstuy", "aehilnorstu", "aeimorstu", "abcdefglmnoprstvxz", "eao", "aegins", "adefgilostuy",
		"abeilmopstu", "acdefgiklmnostuvy", "abcdefgiklmnoprstuvw", "aehikloprstuy", "u",
		"acdefgiklmnorstuvwy", "acehiklnoprstuwy", "acefhilmoprstuwxy", "abcdefgilmnprst", "aeio",
		"aehinor", "acefpt", "ilnpst", "e",
	} {
		for _, c := range next {
			t[i] |= 1 << (c - 'a')
		}
	}
	return t
}()

// looksSecret tells whether a run of word characters, or of base64, looks like
// a secret.
func looksSecret(run []byte) bool {
	if len(run) < minRun || isResourceID(run) || isUUID(run) || isID(run) {
		return false
	}
	most, all, letters := unexplainedIn(run)
	return most >= minConcentrated || (all >= minUnexplained && 10*all >= 6*letters)
}

// unexplained counts the letters and digits of a run which nothing explains.
func unexplained(run []byte) int {
	_, all, _ := unexplainedIn(run)
	return all
}

// unexplainedIn counts the same in the part that has most of them and in all
// parts, and letters and digits of any kind.
func unexplainedIn(run []byte) (most, all, letters int) {
	for start := 0; start < len(run); {
		end := start
		var seen uint8
		isHex := true
		for end < len(run) && classes[run[end]]&isAlnum != 0 {
			seen |= classes[run[end]]
			isHex = isHex && inSet[run[end]]&(1<<hex) != 0
			end++
		}
		part := run[start:end]
		letters += len(part)
		start = end + 1
		switch {
		case len(part) < minPart, seen&(isLower|isUpper) == 0:
			continue
		case isHex && len(part) <= 24 && seen&(isLower|isUpper) != isLower|isUpper:
			continue
		case endsInUUID(part):
			part = part[:len(part)-32]
		}
		n := unexplainedPart(part)
		most = max(most, n)
		all += n
	}
	return most, all, letters
}

// endsInUUID tells whether part ends in a random UUID (version 4) without
// dashes. Of random hex one in 64 passes for one.
func endsInUUID(part []byte) bool {
	n := len(part) - 32
	if n < 0 || part[n+12] != '4' || (part[n+16] != '8' && part[n+16] != '9' && part[n+16]|0x20 != 'a' && part[n+16]|0x20 != 'b') {
		return false
	}
	for _, c := range part[n:] {
		if inSet[c]&(1<<hex) == 0 {
			return false
		}
	}
	return n == 0 || inSet[part[n-1]]&(1<<hex) == 0
}

// unexplainedPart counts the characters of a part that are not in words.
func unexplainedPart(part []byte) int {
	n := 0
	for i := 0; i < len(part); {
		if classes[part[i]]&isDigit != 0 {
			n++
			i++
			continue
		}
		// A word: one case, or a capital before small letters.
		end := i + 1
		if end < len(part) && classes[part[i]]&isUpper != 0 && classes[part[end]]&isLower != 0 {
			end++
		}
		kind := classes[part[end-1]]
		for end < len(part) && classes[part[end]] == kind {
			end++
		}
		if !isWordLike(part[i:end]) {
			n += end - i
		}
		i = end
	}
	return n
}

func isWordLike(w []byte) bool {
	if len(w) < 4 {
		return false
	}
	odd := 0
	for i := 1; i < len(w); i++ {
		if bigrams[w[i-1]|0x20-'a']>>(w[i]|0x20-'a')&1 == 0 {
			odd++
		}
	}
	return odd <= len(w)/6
}

// isUUID tells whether b has the form 8-4-4-4-12 of hex digits.
func isUUID(b []byte) bool {
	if len(b) != 36 {
		return false
	}
	for i, c := range b {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (c == '-') || (!dash && inSet[c]&(1<<hex) == 0) {
			return false
		}
	}
	return true
}

// resourceIDs are the prefixes of AWS unique ids and access key ids, which are
// no secrets.
const resourceIDs = "AKIA ASIA AIDA AROA AIPA ANPA ANVA AGPA APKA ASCA ABIA ACCA"

// isResourceID tells whether b is an AWS unique id: a prefix and 12 to 28
// letters and digits of base32.
func isResourceID(b []byte) bool {
	if len(b) < 16 || len(b) > 32 || b[0] != 'A' {
		return false
	}
	for _, c := range b {
		if (c < 'A' || c > 'Z') && classes[c]&isDigit == 0 {
			return false
		}
	}
	for i := 0; i < len(resourceIDs); i += 5 {
		if string(b[:4]) == resourceIDs[i:i+4] {
			return true
		}
	}
	return false
}

// idName tells whether the key of an attr says that its value is an id or a
// hash, which is not masked for its looks.
func idName(key []byte) bool {
	start := 0
	for i, c := range key {
		if c == '.' {
			start = i + 1
		}
	}
	last := key[max(start, len(key)-32):]
	var buf [64]byte // two for each of the last 32
	low := buf[:0]
	for i, c := range last {
		switch {
		case classes[c]&isAlnum == 0:
			low = append(low, '_')
			continue
		case classes[c]&isUpper != 0 && i > 0 && classes[last[i-1]]&isLower != 0:
			low = append(low, '_')
		}
		low = append(low, c|classes[c]&isUpper<<4)
	}
	name := string(low)
	for _, end := range idEndings {
		if len(name) >= len(end) && name[len(name)-len(end):] == end {
			return true
		}
	}
	for _, begin := range [...]string{"trace", "span", "x_amz_id"} {
		if len(name) >= len(begin) && name[:len(begin)] == begin {
			return true
		}
	}
	return false
}

var idEndings = []string{
	"id", "ids", "etag", "hash", "digest", "checksum", "md5", "sha1", "sha256", "sha512", "crc32", "crc32c",
	"fingerprint", "thumbprint", "arn", "version", "commit", "revision",
}
