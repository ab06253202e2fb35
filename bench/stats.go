package main

import (
	"math"
	"slices"
	"time"
)

// summary is a sample's size and percentiles, in milliseconds.
type summary struct {
	N   int     `json:"n"`
	Min float64 `json:"min_ms"`
	P50 float64 `json:"p50_ms"`
	P90 float64 `json:"p90_ms"`
	P99 float64 `json:"p99_ms"`
}

func summarize(sample []time.Duration) summary {
	sorted := slices.Sorted(slices.Values(sample))
	at := func(p float64) float64 { return millis(percentile(sorted, p)) }
	return summary{N: len(sorted), Min: at(0), P50: at(50), P90: at(90), P99: at(99)}
}

// percentile returns the smallest value of sorted that at least p percent of
// the values do not exceed (nearest rank), and zero when there are none.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
