package normalize

import (
	"bytes"
	"math"
	"strconv"
	"time"
	"unsafe"
)

// Years a time may lie in: what int64 nanoseconds hold, rounded inwards.
const (
	minYear = 1678
	maxYear = 2261
)

// ParseTime reads a time in any usual spelling and returns it as UTC
// nanoseconds since 1970: RFC 3339 with any precision and zone (also with a
// space for the T, and without a zone, which is then UTC), the common log
// format's 26/Jan/2019:19:45:25 +0330 with any precision, the same with slashes
// (2019/01/26 19:45:25), RFC 1123, Unix date and its kin, and Unix time as a number in
// seconds, milli-, micro- or nanoseconds, told apart by magnitude. A zone that
// is given by letters other than UTC, GMT and Z is taken as UTC where its offset
// is not known.
func ParseTime(b []byte) (int64, bool) {
	if len(b) < 4 || len(b) > 64 {
		return 0, false
	}
	switch {
	case len(b) >= 19 && b[4] == '-' && b[7] == '-' && b[16] == ':':
		return parseRFC3339(b)
	case len(b) >= 20 && b[2] == '/' && b[6] == '/':
		return parseCommonLog(b)
	case len(b) >= 19 && b[4] == '/' && b[7] == '/' && len(b) <= 40:
		var buf [40]byte
		dashed := append(buf[:0], b...)
		dashed[4], dashed[7] = '-', '-'
		return parseRFC3339(dashed)
	case len(b) >= 16 && b[4] == '-' && b[7] == '-' && b[10] == 'T' && b[13] == ':' && (len(b) == 16 || b[16] != ':') && len(b) <= 24: // no seconds
		var buf [32]byte
		return parseRFC3339(append(append(append(buf[:0], b[:16]...), ":00"...), b[16:]...))
	case len(b) > 8 && b[0] == '/' && string(b[:6]) == "/Date(" && string(b[len(b)-2:]) == ")/":
		return parseUnix(b[6 : len(b)-2])
	case len(b) == 14 && (b[0] == '2' && b[1] == '0' || b[0] == '1' && b[1] == '9') && two(b, 4) <= 12 && two(b, 6) <= 31 && two(b, 8) < 24: // 20060102150405
		c := clock{two(b, 4), two(b, 6), two(b, 8), two(b, 10), two(b, 12)}
		if sec, ok := c.unix(100*two(b, 0)+two(b, 2), 0); ok {
			return sec * 1e9, true
		}
		ns, ok := parseUnix(b)
		return ns, ok
	case b[0] >= '0' && b[0] <= '9' || b[0] == '-':
		if ns, ok := parseUnix(b); ok {
			return ns, true
		}
	}
	s := unsafe.String(unsafe.SliceData(b), len(b))
	for _, layout := range [...]string{
		time.RFC1123, time.RFC1123Z, time.UnixDate, time.ANSIC, time.RFC850, time.RFC822Z,
		"02 Jan 2006 15:04:05 -0700", "2006/01/02 15:04:05", "2006-01-02", "20060102T150405Z",
		"Mon Jan 02 15:04:05.999999 2006", "Jan _2 2006 15:04:05 MST", "Jan _2 2006 15:04:05", "Jan _2, 2006 3:04:05 PM", "1/2/2006 3:04:05 PM", "02 Jan 2006 15:04:05",
		"02-Jan-2006 15:04:05", "20060102T150405Z0700", "2006-01-02 15:04:05 MST", "2006-01-02 15:04:05 -0700 MST", "Mon, _2 Jan 2006 15:04:05 MST",
		"Mon Jan _2 15:04:05 -0700 2006", "Mon Jan _2 2006 15:04:05 MST",
	} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() >= minYear && t.Year() <= maxYear {
			return t.UnixNano(), true
		}
	}
	return 0, false
}

// parseUnix reads a decimal number, exactly where it is an integer or has at
// most nine places.
func parseUnix(b []byte) (int64, bool) {
	s := unsafe.String(unsafe.SliceData(b), len(b))
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return UnixTime(n), true
	}
	dot := -1
	for i, c := range b {
		switch {
		case c >= '0' && c <= '9':
		case c == '.' && dot < 0 && i > 0:
			dot = i
		case c == 'e' || c == 'E' || c == '+' || c == '-':
			f, err := strconv.ParseFloat(s, 64)
			if err != nil || math.IsNaN(f) || math.Abs(f) > math.MaxInt64/2 {
				return 0, false
			}
			if unit := unixUnit(int64(f)); math.Abs(f) < math.MaxInt64/float64(unit) {
				return int64(f * float64(unit)), true
			}
			return 0, false
		default:
			return 0, false
		}
	}
	if dot < 0 {
		return 0, false
	}
	whole, err := strconv.ParseInt(s[:dot], 10, 64)
	if err != nil {
		return 0, false
	}
	unit := unixUnit(whole)
	ns, place := whole*unit, unit
	for _, c := range b[dot+1:] {
		if place /= 10; place == 0 {
			break
		}
		ns += int64(c-'0') * place
	}
	return ns, true
}

// UnixTime reads a Unix time in seconds, milli-, micro- or nanoseconds: below
// 9.2e9 it is seconds (as far as nanoseconds reach, the year 2262), below 1e13
// milliseconds, below 1e16 microseconds.
func UnixTime(n int64) int64 { return n * unixUnit(n) }

func unixUnit(n int64) int64 {
	if n < 0 {
		n = -max(n, -math.MaxInt64)
	}
	switch {
	case n < 9.2e9:
		return 1e9
	case n < 1e13:
		return 1e6
	case n < 1e16:
		return 1e3
	default:
		return 1
	}
}

// two reads two digits, -1 if they are none.
func two(b []byte, i int) int {
	x, y := int(b[i])-'0', int(b[i+1])-'0'
	if x < 0 || x > 9 || y < 0 || y > 9 {
		return -1
	}
	return 10*x + y
}

func parseRFC3339(b []byte) (int64, bool) {
	year := 100*two(b, 0) + two(b, 2)
	c := clock{two(b, 5), two(b, 8), two(b, 11), two(b, 14), two(b, 17)}
	if two(b, 0) < 0 || two(b, 2) < 0 || (b[10]|0x20 != 't' && b[10] != ' ') || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	i, ns := 19, int64(0)
	if i < len(b) && (b[i] == '.' || b[i] == ',') {
		i++
		for place := int64(1e8); i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
			ns += int64(b[i]-'0') * place
			place /= 10
		}
	}
	zone := b[i:]
	if len(zone) > 0 && zone[0] == ' ' {
		zone = zone[1:]
	}
	if offset, name, ok := bytes.Cut(zone, []byte(" ")); ok && len(name) <= 5 && !bytes.ContainsAny(name, " 0123456789-+:") { // +0100 CET, as Go prints it
		zone = offset
	}
	offset, ok := parseZone(zone)
	if !ok {
		return 0, false
	}
	sec, ok := c.unix(year, offset)
	return sec*1e9 + ns, ok
}

// parseCommonLog reads 26/Jan/2019:19:45:25 +0330, also with a fraction of a
// second, with a space before the hour and without a zone.
func parseCommonLog(b []byte) (int64, bool) {
	if b[11] != ':' && b[11] != ' ' || b[14] != ':' || b[17] != ':' {
		return 0, false
	}
	year, hi := 100*two(b, 7)+two(b, 9), two(b, 7)
	c := clock{month(b[3:6]), two(b, 0), two(b, 12), two(b, 15), two(b, 18)}
	zone, ns := b[20:], int64(0)
	if len(zone) > 0 && zone[0] == '.' {
		i := 1
		for place := int64(1e8); i < len(zone) && zone[i] >= '0' && zone[i] <= '9'; i++ {
			ns += int64(zone[i]-'0') * place
			place /= 10
		}
		zone = zone[i:]
	}
	if len(zone) > 0 && zone[0] == ' ' {
		zone = zone[1:]
	}
	offset, ok := parseZone(zone)
	if !ok || hi < 0 || two(b, 9) < 0 {
		return 0, false
	}
	sec, ok := c.unix(year, offset)
	return sec*1e9 + ns, ok
}

func month(b []byte) int {
	switch string(b) {
	case "Jan":
		return 1
	case "Feb":
		return 2
	case "Mar":
		return 3
	case "Apr":
		return 4
	case "May":
		return 5
	case "Jun":
		return 6
	case "Jul":
		return 7
	case "Aug":
		return 8
	case "Sep":
		return 9
	case "Oct":
		return 10
	case "Nov":
		return 11
	case "Dec":
		return 12
	}
	return 0
}

// parseZone reads Z, UTC, GMT, ±hh, ±hhmm or ±hh:mm as seconds; nothing is UTC.
func parseZone(b []byte) (int, bool) {
	switch string(b) {
	case "", "Z", "z", "UTC", "GMT":
		return 0, true
	}
	if b[0] != '+' && b[0] != '-' || len(b) < 3 {
		return 0, false
	}
	h, m := two(b, 1), 0
	switch {
	case len(b) == 3:
	case len(b) == 5:
		m = two(b, 3)
	case len(b) == 6 && b[3] == ':':
		m = two(b, 4)
	default:
		return 0, false
	}
	if h < 0 || h > 23 || m < 0 || m > 59 {
		return 0, false
	}
	s := 3600*h + 60*m
	if b[0] == '-' {
		s = -s
	}
	return s, true
}

type clock struct{ month, day, hour, minute, second int }

// unix returns seconds since 1970 of a civil time, offset seconds east of UTC.
func (c clock) unix(year, offset int) (int64, bool) {
	if year < minYear || year > maxYear || c.month < 1 || c.month > 12 || c.day < 1 || c.day > daysIn(year, c.month) ||
		c.hour < 0 || c.hour > 23 || c.minute < 0 || c.minute > 59 || c.second < 0 || c.second > 60 {
		return 0, false
	}
	// Days from civil: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
	y, m := int64(year), int64(c.month)
	if m <= 2 {
		y--
		m += 12
	}
	era := y / 400
	yoe := y - era*400
	doy := (153*(m-3)+2)/5 + int64(c.day) - 1
	days := era*146097 + yoe*365 + yoe/4 - yoe/100 + doy - 719468
	return days*86400 + int64(3600*c.hour+60*c.minute+c.second-offset), true
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}
