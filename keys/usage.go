package keys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// usage is the file that keeps the day's counts.
type usage struct {
	Version int         `json:"version"`
	Day     string      `json:"day"` // UTC, as 2006-01-02
	Counts  []usedToday `json:"counts"`
}

type usedToday struct {
	Name string `json:"name"`
	Hash Hash   `json:"sha256"`
	Runs int    `json:"runs"`
}

// restore sets the day's counts to those of the file, for the keys there are.
// Those of another day end with the first run.
func (r *Ring) restore() {
	if !r.Required() {
		return
	}
	u, err := readUsage(r.cfg.UsagePath)
	if errors.Is(err, fs.ErrNotExist) {
		r.cfg.Logger.Info("the day's counts start at zero: there is no file of them", "path", r.cfg.UsagePath)
	} else if err != nil {
		r.cfg.Logger.Warn("the day's counts start at zero", "error", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range u.Counts {
		if a := r.accounts[id{c.Name, c.Hash}]; a != nil {
			a.state.day, a.state.today = u.Day, c.Runs
		}
	}
}

func readUsage(path string) (usage, error) {
	data, _, err := read(path, MaxFileBytes)
	if err != nil {
		return usage{}, err
	}
	var u usage
	if err := unmarshal(data, &u); err != nil {
		return usage{}, fmt.Errorf("%s: %w", path, err)
	}
	if u.Version != version {
		return usage{}, fmt.Errorf("%s: it is of version %d", path, u.Version)
	}
	for _, c := range u.Counts {
		if c.Runs < 0 {
			return usage{}, fmt.Errorf("%s: the count of %q is negative", path, c.Name)
		}
	}
	return u, nil
}

// save writes the day's counts a while after they changed, until ctx ends. It
// sleeps while they do not.
func (r *Ring) save(ctx context.Context) {
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.changed:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(saveEvery):
		}
		err := r.writeUsage(time.Now())
		if err != nil && !failing { // a full disk is told of once
			r.cfg.Logger.Error("the day's counts were not saved", "error", err)
		}
		failing = err != nil
	}
}

// writeUsage writes the day's counts if they changed since it last did.
func (r *Ring) writeUsage(now time.Time) error {
	u, dirty := r.takeUsage(dayOf(now))
	if !dirty {
		return nil
	}
	data, err := json.Marshal(u)
	if err == nil {
		err = replace(r.cfg.UsagePath, data)
	}
	if err != nil {
		r.mu.Lock()
		r.dirty = true
		r.mu.Unlock()
	}
	return err
}

func (r *Ring) takeUsage(day string) (u usage, dirty bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.dirty {
		return usage{}, false
	}
	r.dirty = false
	u = usage{Version: version, Day: day}
	for _, a := range r.accounts {
		if a.state.day == day && a.state.today > 0 {
			u.Counts = append(u.Counts, usedToday{a.key.Name, a.key.Hash, a.state.today})
		}
	}
	return u, true
}
