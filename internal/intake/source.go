package intake

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// maxHops bounds how many addresses of X-Forwarded-For are looked at.
const maxHops = 32

// Source makes a request's RemoteAddr the address of the client, where the request came through proxies that are trusted: from
// X-Forwarded-For, read from its end, the first address that is not a trusted proxy's. Without trusted proxies, or from any other
// address, the header is not looked at, since anybody can send it.
func Source(trusted []netip.Prefix, next http.Handler) http.Handler {
	if len(trusted) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if client, ok := clientOf(r.RemoteAddr, r.Header.Values("X-Forwarded-For"), trusted); ok {
			r = r.WithContext(r.Context()) // a copy: the request is the server's
			r.RemoteAddr = net.JoinHostPort(client.String(), "0")
		}
		next.ServeHTTP(w, r)
	})
}

// clientOf gives the client's address, if the header says one that can be believed.
func clientOf(remote string, headers []string, trusted []netip.Prefix) (netip.Addr, bool) {
	peer, err := netip.ParseAddrPort(remote)
	if err != nil || !within(peer.Addr(), trusted) {
		return netip.Addr{}, false
	}
	var client netip.Addr
	hops := 0
	for i := len(headers) - 1; i >= 0; i-- {
		rest := headers[i]
		for more := true; more; {
			var hop string
			if at := strings.LastIndexByte(rest, ','); at >= 0 {
				rest, hop = rest[:at], rest[at+1:]
			} else {
				rest, hop, more = "", rest, false
			}
			address, err := netip.ParseAddr(strings.TrimSpace(hop))
			if hops++; err != nil || hops > maxHops {
				return client, client.IsValid() // what is before it was not written by a proxy that is trusted
			}
			client = address.Unmap().WithZone("")
			if !within(client, trusted) {
				return client, true
			}
		}
	}
	return client, client.IsValid()
}

func within(address netip.Addr, networks []netip.Prefix) bool {
	address = address.Unmap().WithZone("")
	for _, network := range networks {
		if network.Contains(address) {
			return true
		}
	}
	return false
}
