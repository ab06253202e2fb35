package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

// loadFigures are of something that several did back to back.
type loadFigures struct {
	Workers   int     `json:"workers"`
	Seconds   float64 `json:"seconds"` // to the end of the last
	PerSecond float64 `json:"per_second"`
	Refused   int     `json:"refused"` // errRefused; not in the rate
	Each      summary `json:"each"`
}

// load has workers call do back to back for the given time, and waits for the
// last of them.
func load(ctx context.Context, workers int, length time.Duration, do func() (time.Duration, error)) (loadFigures, error) {
	var (
		tasks  sync.WaitGroup
		mu     sync.Mutex // guards what follows
		f      = loadFigures{Workers: workers}
		took   []time.Duration
		failed error
	)
	ctx, cancel := context.WithCancel(ctx) // by the first that fails
	defer cancel()
	start := time.Now()
	for range workers {
		tasks.Go(func() {
			for ctx.Err() == nil && time.Since(start) < length {
				d, err := do()
				mu.Lock()
				switch {
				case err == nil:
					took = append(took, d)
				case errors.Is(err, errRefused):
					f.Refused++
				default:
					failed = errors.Join(failed, err)
					cancel()
				}
				mu.Unlock()
				if err != nil {
					time.Sleep(50 * time.Millisecond)
				}
			}
		})
	}
	tasks.Wait()
	f.Seconds = time.Since(start).Seconds()
	f.PerSecond, f.Each = float64(len(took))/f.Seconds, summarize(took)
	return f, failed
}
