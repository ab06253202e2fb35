package oci

import (
	"context"
	"errors"
	"time"
)

// The words for what the driver does to a sandbox.
const (
	opCreate = "create" // the runtime makes and starts it
	opUpdate = "update" // its memory limit is changed
	opRemove = "remove" // it is killed, and what is left of it removed
)

// Operations are all words that Observe is told.
func Operations() []string { return []string{opCreate, opUpdate, opRemove} }

// Observe is told of everything that is done to a sandbox: one of [Operations],
// how long it took, and whether it failed. It is called by several goroutines
// and should not block.
type Observe func(operation string, took time.Duration, failed bool)

// call tells of what begins now and ends when done is called.
func (o Observe) call(operation string) (done func(error)) {
	start := time.Now()
	return func(err error) {
		o(operation, time.Since(start), err != nil && !errors.Is(err, context.Canceled))
	}
}

// Why launches fail; words for a metric.
const (
	reasonRuntimeMissing = "runtime_missing" // it is not on PATH
	reasonImageMissing   = "image_missing"   // the tree is not there
	reasonNotWarm        = "not_warm"        // it ended before it was warm, or its time was up
	reasonRefused        = "refused"         // the runtime did not make it
	reasonOther          = "other"
)

// LaunchReasons are all words of LaunchReason.
var LaunchReasons = []string{reasonRuntimeMissing, reasonImageMissing, reasonNotWarm, reasonRefused, reasonOther}

// launchError is an error of Launch, with its reason.
type launchError struct {
	error
	reason string
}

func (e *launchError) Unwrap() error { return e.error }

// LaunchReason says in a word why Launch failed.
func LaunchReason(err error) string {
	if e, ok := errors.AsType[*launchError](err); ok {
		return e.reason
	}
	return reasonOther
}
