package source

import (
	"encoding/binary"
	"net"
	"syscall"
)

// datagrams reads from a connection, and says of how many datagrams it learned
// that the system dropped them because its buffer was full: with the next one that
// comes through.
func datagrams(from net.PacketConn) func(b []byte) (n, lost int, err error) {
	conn, ok := from.(*net.UDPConn)
	if ok {
		raw, err := conn.SyscallConn()
		ok = err == nil && raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RXQ_OVFL, 1)
		}) == nil && err == nil
	}
	if !ok {
		return uncounted(from)
	}
	var dropped uint32 // so far, as the system counts
	control := make([]byte, syscall.CmsgSpace(4))
	return func(b []byte) (n, lost int, err error) {
		n, c, _, _, err := conn.ReadMsgUDPAddrPort(b, control)
		if c == 0 {
			return n, 0, err
		}
		messages, broken := syscall.ParseSocketControlMessage(control[:c])
		if broken != nil {
			return n, 0, err
		}
		for _, m := range messages {
			if m.Header.Level == syscall.SOL_SOCKET && m.Header.Type == syscall.SO_RXQ_OVFL && len(m.Data) >= 4 {
				now := binary.NativeEndian.Uint32(m.Data)
				lost, dropped = int(now-dropped), now
			}
		}
		return n, lost, err
	}
}
