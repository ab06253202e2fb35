package docker

import (
	"context"
	"time"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
)

// watch tells the sandboxes what the Engine says of them, until ctx ends. A
// subscription that breaks is renewed from where it broke.
func (d *Driver) watch(ctx context.Context) {
	options := events.ListOptions{Filters: filters.NewArgs(
		filters.Arg("type", string(events.ContainerEventType)),
		filters.Arg("label", LabelInstance+"="+d.cfg.Instance),
		filters.Arg("event", string(events.ActionDie)),
		filters.Arg("event", string(events.ActionOOM)),
	)}
	lost := false
	for ctx.Err() == nil {
		started := time.Now()
		// Asked first because Events reads the client's API version without
		// the lock under which it is negotiated.
		_, err := d.api.ServerVersion(ctx)
		if err == nil {
			if lost {
				d.cfg.Logger.Info("the engine answers again")
			}
			lost = false
			err = d.listen(ctx, &options)
		}
		if ctx.Err() == nil && !lost {
			d.cfg.Logger.Warn("lost the engine's events; subscribing until it answers", "error", err)
			lost = true
		}
		if options.Since == "" {
			options.Since = started.Format(time.RFC3339Nano)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// listen handles events until the subscription breaks, and leaves in options
// where to go on.
func (d *Driver) listen(ctx context.Context, options *events.ListOptions) error {
	messages, failed := d.api.Events(ctx, *options)
	for {
		select {
		case m := <-messages:
			options.Since = time.Unix(0, m.TimeNano).Format(time.RFC3339Nano)
			d.tell(m)
		case err := <-failed:
			return err
		}
	}
}

func (d *Driver) tell(m events.Message) {
	d.mu.Lock()
	s := d.live[m.Actor.ID]
	d.mu.Unlock()
	if s == nil {
		return
	}
	switch m.Action {
	case events.ActionOOM:
		s.sawOOM()
	case events.ActionDie:
		s.sawDeath()
	}
}
