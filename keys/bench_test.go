package keys

import (
	"fmt"
	"testing"
)

func BenchmarkAuthenticate(b *testing.B) {
	for _, n := range []int{10, 1000, MaxKeys} {
		path := tempPath(b)
		full(b, path, n)
		r := mustOpen(b, Config{Path: path})
		for name, secret := range map[string]string{"known": fmt.Sprintf("key-%d", n-1), "unknown": newSecret()} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_, _ = r.Authenticate(secret)
				}
			})
		}
	}
}

func BenchmarkBegin(b *testing.B) {
	path := tempPath(b)
	secret := mustAdd(b, path, "ci", Limits{Rate: MaxRate, Burst: MaxCount, Concurrent: 10, Languages: []string{"node", "python"}})
	r := mustOpen(b, Config{Path: path})
	k := mustKey(b, r, secret)
	b.ReportAllocs()
	for b.Loop() {
		if release, err := r.Begin(k, "python", 1, 1); err == nil {
			release(1)
		}
	}
}

func BenchmarkReload(b *testing.B) {
	path := tempPath(b)
	full(b, path, MaxKeys)
	r := mustOpen(b, Config{Path: path})
	for b.Loop() {
		if err := r.Reload(); err != nil {
			b.Fatal(err)
		}
	}
}
