package seal

import (
	gohex "encoding/hex"
	"testing"
)

func TestHolds(t *testing.T) {
	s := testSealer(t, Config{})
	const secret = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
	for text, want := range map[string]bool{
		"web": false, "": false, "/var/log/nginx/access.log": false, "edge-eu-west-1.example.com": false,
		secret: true, "web-" + secret: true, gohex.EncodeToString([]byte(secret)): true,
	} {
		if got := s.Holds([]byte(text)); got != want {
			t.Errorf("Holds(%q) = %v, want %v", text, got, want)
		}
	}
}
