package format

// apacheSSL is Apache's ssl_request_log, as its distributions configure it.
var apacheSSL = []*layout{mustApache(`%t %h %{SSL_PROTOCOL}x %{SSL_CIPHER}x "%r" %b`)}

// mustApache compiles a string of our own.
func mustApache(s string) *layout {
	l, err := compileApache(s, false)
	if err != nil {
		panic(err)
	}
	return l
}

// sniffApacheSSL looks for a bracketed time at the beginning before it looks closer.
func sniffApacheSSL(record []byte) int {
	if len(record) < 60 || record[0] != '[' || record[3] != '/' || record[7] != '/' {
		return 0
	}
	return sniffLaid(96, apacheSSL...)(record)
}
