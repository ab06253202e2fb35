package httpapi

import (
	"bufio"
	"bytes"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/preheat/preheat/pool"
)

const (
	liveTick    = 100 * time.Millisecond // between looks at the pool
	liveWindow  = time.Minute            // of the figures about runs
	liveRuns    = 4096                   // runs that these are made of, at most
	liveViewers = 64                     // at once
)

// liveAnswer is what there is to see of the pool and the latest runs.
type liveAnswer struct {
	Engine        engineAnswer   `json:"engine"`
	Languages     []liveLanguage `json:"languages"`
	RunsPerSecond float64        `json:"runs_per_second"` // these three over the last minute
	P50           float64        `json:"p50_ms"`
	P99           float64        `json:"p99_ms"`
}

type liveLanguage struct {
	Language   string `json:"language"`
	Runtime    string `json:"runtime"`
	Size       int    `json:"size"`
	Warm       int    `json:"warm"`
	Leased     int    `json:"leased"`
	Launching  int    `json:"launching"`
	Destroying int    `json:"destroying"`
	Waiting    int    `json:"waiting"`
}

// poolStream is GET /pool/stream: the pool as server-sent events, one for every
// change that a look each tenth of a second finds.
func (s *Server) poolStream(c *fiber.Ctx) error {
	if s.draining.Load() {
		return errDraining
	}
	if s.viewers.Add(1) > liveViewers {
		s.viewers.Add(-1)
		return refuse(CodeQueueFull, "There are already %d who watch the pool", liveViewers)
	}
	conn := c.Context().Conn()
	s.streams.Add(1)
	sendEvents(c, func(w *bufio.Writer) {
		defer s.streams.Done()
		defer s.viewers.Add(-1)
		tick := time.NewTicker(liveTick)
		defer tick.Stop()
		var last []byte
		var sent time.Time
		for !s.draining.Load() {
			var event bytes.Buffer
			piece{name: "pool", data: s.look(time.Now())}.write(&event)
			if !bytes.Equal(event.Bytes(), last) || time.Since(sent) > s.cfg.Heartbeat {
				last, sent = event.Bytes(), time.Now()
				_ = conn.SetWriteDeadline(sent.Add(s.cfg.WriteTimeout))
				w.Write(last)
				if w.Flush() != nil {
					return
				}
			}
			<-tick.C
		}
	})
	return nil
}

func (s *Server) look(now time.Time) liveAnswer {
	a := s.recent.figures(now)
	a.Engine, a.Languages = s.engineAnswer(), []liveLanguage{}
	for _, l := range s.pool.Stats().Languages {
		a.Languages = append(a.Languages, newLiveLanguage(l, s.runtimes[l.Language]))
	}
	return a
}

func newLiveLanguage(l pool.LanguageStats, runtime string) liveLanguage {
	return liveLanguage{l.Language, runtime, l.Size, l.Warm, l.Leased, l.Launching, l.Destroying, l.Waiting}
}

// recentRuns are the latest, within liveWindow and liveRuns.
type recentRuns struct {
	mu   sync.Mutex // guards runs
	runs []recentRun
}

type recentRun struct {
	ended time.Time
	took  time.Duration
}

func (r *recentRuns) add(took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.runs) == liveRuns {
		r.runs = slices.Delete(r.runs, 0, liveRuns/4)
	}
	r.runs = append(r.runs, recentRun{time.Now(), took})
}

func (r *recentRuns) figures(now time.Time) liveAnswer {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := slices.IndexFunc(r.runs, func(run recentRun) bool { return now.Sub(run.ended) < liveWindow })
	if old < 0 {
		old = len(r.runs)
	}
	r.runs = slices.Delete(r.runs, 0, old)
	if len(r.runs) == 0 {
		return liveAnswer{}
	}
	took := make([]time.Duration, len(r.runs))
	for i, run := range r.runs {
		took[i] = run.took
	}
	slices.Sort(took)
	at := func(share float64) float64 { return millis(took[int(share*float64(len(took)-1))]) }
	return liveAnswer{RunsPerSecond: math.Round(100*float64(len(took))/liveWindow.Seconds()) / 100, P50: at(0.5), P99: at(0.99)}
}
