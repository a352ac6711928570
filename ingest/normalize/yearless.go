package normalize

import "time"

// skew is how far ahead of the present a date without a year may lie: the zone
// of its clock is not known either.
const skew = 26 * time.Hour

// ParseYearless reads a date as syslog writes it, Jan  2 15:04:05 with any
// fraction of a second, at the beginning of b, and returns how many bytes it
// takes, 0 if there is none. The year is the latest that does not put it
// noticeably ahead of now; a year that is written behind the day or the time is taken.
func ParseYearless(b []byte, now time.Time) (ns int64, n int) {
	if len(b) < len("Jan 2 15:04:05") || b[3] != ' ' {
		return 0, 0
	}
	c := clock{month: month(b[:3])}
	i := 4
	if b[i] == ' ' {
		i++
	}
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9' && c.day < 100; i++ {
		c.day = 10*c.day + int(b[i]-'0')
	}
	if c.month == 0 || i+len(" 15:04:05") > len(b) || b[i] != ' ' {
		return 0, 0
	}
	i++
	year := 0
	if i+len("2006 15:04:05") <= len(b) && b[i+4] == ' ' && two(b, i) >= 0 && two(b, i+2) >= 0 {
		year = 100*two(b, i) + two(b, i+2)
		i += 5
	}
	if b[i+2] != ':' || b[i+5] != ':' {
		return 0, 0
	}
	c.hour, c.minute, c.second = two(b, i), two(b, i+3), two(b, i+6)
	i += 8
	fraction := int64(0)
	if i+1 < len(b) && b[i] == '.' && b[i+1] >= '0' && b[i+1] <= '9' {
		i++
		for place := int64(1e8); i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
			fraction += int64(b[i]-'0') * place
			place /= 10
		}
	}
	if year == 0 && i+5 <= len(b) && b[i] == ' ' && two(b, i+1) >= 19 && two(b, i+3) >= 0 && (i+5 == len(b) || b[i+5] == ' ' || b[i+5] == ':') {
		year = 100*two(b, i+1) + two(b, i+3)
		i += 5
	}
	if year != 0 {
		sec, ok := c.unix(year, 0)
		if !ok {
			return 0, 0
		}
		return sec*1e9 + fraction, i
	}
	latest := now.Add(skew)
	for year, tries := latest.UTC().Year(), 0; tries < 9; year, tries = year-1, tries+1 { // 29 February comes every eighth year at least
		if sec, ok := c.unix(year, 0); ok && sec <= latest.Unix() {
			return sec*1e9 + fraction, i
		}
	}
	return 0, 0
}
