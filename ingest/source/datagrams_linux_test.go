package source

import (
	"net"
	"testing"
	"time"
)

// TestDatagramsLost: what the system drops for want of room is counted.
func TestDatagramsLost(t *testing.T) {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	read := datagrams(conn)
	to, err := net.Dial("udp", conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	const sent = 1000
	message := make([]byte, 100)
	came, lost := 0, 0
	for i := range sent + 1 { // the last one tells of those before it
		if i == sent {
			for came+lost < sent-1 || lost == 0 {
				conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				_, dropped, err := read(message)
				if err != nil {
					break // there are no more
				}
				came, lost = came+1, lost+dropped
			}
		}
		if _, err := to.Write(message); err != nil {
			t.Fatal(err)
		}
	}
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, dropped, err := read(message)
	if err != nil {
		t.Fatal(err)
	}
	came, lost = came+1, lost+dropped
	if came+lost != sent+1 || lost == 0 {
		t.Errorf("of %d datagrams %d came and %d are counted as lost", sent+1, came, lost)
	}
}
