package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/preheat/preheat/history"
	"github.com/preheat/preheat/keys"
)

// openKeys opens the keys, also where there are none yet: the first one that is
// added counts at once. It refuses to go on where a stranger could run code.
func (o *options) openKeys(log *slog.Logger) (*keys.Ring, error) {
	ring, err := keys.Open(keys.Config{Path: o.keysFile(), UsagePath: o.usageFile(), Logger: log})
	if err != nil {
		return nil, fmt.Errorf("the keys: %w", err)
	}
	needed := ring.Required()
	if o.remote() && !needed && !o.allowRemote {
		refused := fmt.Errorf("--addr %s is reachable from other machines, and there are no keys: whoever reaches it can run code; make a key with `preheat keys add NAME`, or say --allow-remote if that is meant", o.addr)
		return nil, errors.Join(usageError{refused}, ring.Close())
	}
	log.Info("keys", "needed", needed, "file", o.keysFile())
	return ring, nil
}

// openHistory opens the history, or returns nil where none is to be kept.
func (o *options) openHistory(log *slog.Logger) (*history.Store, error) {
	if !o.history {
		return nil, nil
	}
	store, err := history.Open(history.Config{
		Path:     o.historyFile(),
		MaxRuns:  o.historyRuns,
		MaxAge:   o.historyAge,
		MaxBytes: o.historyBytes,
		Logger:   log,
	})
	if err != nil {
		return nil, fmt.Errorf("%w; --data names another folder, --history=false keeps no history", err)
	}
	return store, nil
}

// closeHistory writes what waits. By now no request adds to it.
func closeHistory(ctx context.Context, store *history.Store) error {
	if store == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return store.Close(ctx)
}
