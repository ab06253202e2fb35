package history

import (
	"bytes"
	"strconv"
	"testing"
)

// tenKB is a run of 10 kB.
func tenKB(n int) Run {
	r := numbered(n)
	r.Program = bytes.Repeat([]byte("x"), 5_000)
	r.Answer = bytes.Repeat([]byte("y"), 5_000)
	return r
}

// BenchmarkAdd is what a request pays.
func BenchmarkAdd(b *testing.B) {
	s := open(b, Config{})
	r := tenKB(0)
	for n := 1; b.Loop(); n++ {
		if n%1000 == 0 { // the queue would be full, and a drop is cheap
			b.StopTimer()
			flush(b, s)
			b.StartTimer()
		}
		r.ID = strconv.Itoa(n)
		s.Add(r)
	}
	if got := s.Stats().Dropped; got != (Dropped{}) {
		b.Errorf("the store dropped %+v", got)
	}
}

// BenchmarkWrite is what the disk takes, in a file that is empty or full.
func BenchmarkWrite(b *testing.B) {
	for name, maxRuns := range map[string]int{"growing": 1 << 30, "pruning": 1000} {
		b.Run(name, func(b *testing.B) {
			s := open(b, Config{MaxRuns: maxRuns, MaxBytes: 1 << 40})
			for n := range 1000 {
				s.Add(tenKB(n))
			}
			flush(b, s)
			n := 1000
			for b.Loop() {
				s.Add(tenKB(n))
				if n++; n%500 == 0 {
					flush(b, s)
				}
			}
			flush(b, s)
			b.ReportMetric(float64(n-1000)/b.Elapsed().Seconds(), "runs/s")
		})
	}
}
