// Package keys says who may use a server, and how much.
//
// Start at [Add], which makes a key and writes its hash to a file, and at
// [Open], which gives a server the [Ring] of the keys in that file. A request
// is checked with [Ring.Authenticate]; [Ring.Begin] admits its runs.
//
// A key is a secret of 128 random bits or more. The file holds the SHA-256 of
// it, which is enough: a slow, salted hash protects what people choose, and
// random bits cannot be guessed however fast the hash is.
//
// How it fails: a request that is turned away gets a [RefusedError], which says
// why, and when to come again. Secrets appear in no error and in no log. A ring
// fails closed: once there was a key, one is needed until the process ends. A
// file that cannot be used leaves the keys as they were; one that is gone has none.
package keys

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Prefix is what every secret begins with, so that people and scanners can tell
// one in a text.
const Prefix = "ph_"

// Bounds of the values in [Limits].
const (
	MinRate      = 0.001 // runs a second
	MaxRate      = 1e6
	MaxCount     = 1_000_000 // Burst, Concurrent and Daily
	MaxLanguages = 64
)

// Key is what is kept of a key: everything but the secret.
type Key struct {
	Name    string    `json:"name"` // 1 to 64 of A-Z a-z 0-9 . _ -, unique in the file
	Hash    Hash      `json:"sha256"`
	Created time.Time `json:"created"`
	Limits  Limits    `json:"limits,omitzero"`
}

// Limits bound what one key may do. A field that is zero sets no limit.
type Limits struct {
	Rate       float64   `json:"rate,omitzero"`       // runs a second, on average
	Burst      int       `json:"burst,omitzero"`      // runs that may start at once after a rest; zero takes Rate, rounded up
	Concurrent int       `json:"concurrent,omitzero"` // runs at once, those that wait for a sandbox included
	Daily      int       `json:"daily,omitzero"`      // runs of one day, UTC
	Languages  []string  `json:"languages,omitempty"` // canonical names of those allowed; empty allows all
	Expires    time.Time `json:"expires,omitzero"`    // when the key ends
}

// Hash is the SHA-256 of a secret. It is written as 64 hexadecimal digits.
type Hash [sha256.Size]byte

// MarshalText writes h for the file.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads h from the file. Its error does not repeat text, which
// may be a secret in the wrong place.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(h)) {
		return errBadHash
	}
	if _, err := hex.Decode(h[:], text); err != nil {
		return errBadHash
	}
	return nil
}

var errBadHash = errors.New("a hash is not 64 hexadecimal digits")

func newSecret() string { return Prefix + rand.Text() }

func hashOf(secret string) Hash { return sha256.Sum256([]byte(secret)) }

var validName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func (k Key) validate() error {
	switch {
	case !validName.MatchString(k.Name):
		return errors.New("a key's name must be 1 to 64 of the letters A to Z and a to z, digits, and . _ -")
	case k.Hash == Hash{}:
		return fmt.Errorf("the key %q has no hash", k.Name)
	case k.Created.IsZero():
		return fmt.Errorf("the key %q has no time of creation", k.Name)
	}
	if err := k.Limits.Validate(); err != nil {
		return fmt.Errorf("the key %q: %w", k.Name, err)
	}
	return nil
}

// Validate reports the first limit that cannot work.
func (l Limits) Validate() error {
	switch {
	case l.Rate != 0 && !(l.Rate >= MinRate && l.Rate <= MaxRate): // so that NaN is refused
		return fmt.Errorf("the rate must be 0, or from %g to %g runs a second", MinRate, MaxRate)
	case l.Burst < 0 || l.Burst > MaxCount:
		return fmt.Errorf("the burst must be from 0 to %d", MaxCount)
	case l.Burst > 0 && l.Rate == 0:
		return errors.New("a burst needs a rate")
	case l.Concurrent < 0 || l.Concurrent > MaxCount:
		return fmt.Errorf("the number of runs at once must be from 0 to %d", MaxCount)
	case l.Daily < 0 || l.Daily > MaxCount:
		return fmt.Errorf("the number of runs a day must be from 0 to %d", MaxCount)
	case len(l.Languages) > MaxLanguages:
		return fmt.Errorf("there may be at most %d languages", MaxLanguages)
	}
	for _, language := range l.Languages {
		if !validName.MatchString(language) {
			return fmt.Errorf("%q is not the name of a language", language)
		}
	}
	return nil
}
