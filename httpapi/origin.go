package httpapi

import (
	"net"
	"net/url"
	"slices"
	"strings"
)

// loopbackNames are the hosts a loopback server answers to. Any other name that
// reaches it was resolved by someone else's DNS: a web page that was rebound to
// this machine.
var loopbackNames = []string{"localhost", "127.0.0.1", "::1"}

// hostAllowed reports whether a request's Host header may reach the server:
// a loopback name with any port, or one of allowed, which match with or without
// their port.
func hostAllowed(host string, allowed []string) bool {
	host = strings.ToLower(host)
	name := hostName(host)
	return slices.Contains(loopbackNames, name) ||
		slices.ContainsFunc(allowed, func(a string) bool {
			a = strings.ToLower(a)
			return a == host || a == name
		})
}

// originAllowed reports whether an Origin header names the very server that the
// Host header names.
func originAllowed(origin, host string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Path != "" || u.User != nil {
		return false
	}
	defaultPort, ok := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	return ok && withPort(u.Host, defaultPort) == withPort(host, defaultPort)
}

func withPort(host, defaultPort string) string {
	host = strings.ToLower(host)
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(hostName(host), defaultPort)
}

// hostName strips the port and the brackets of an IPv6 address.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		return host[1 : len(host)-1]
	}
	return host
}

func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
