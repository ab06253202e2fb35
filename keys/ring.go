package keys

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"
)

// Config says where a ring has its keys from. Fields that are zero, but for
// Path, get their default from Open.
type Config struct {
	// Path is the file that Add and Remove write. There need not be one.
	Path string

	// UsagePath is the file that keeps the day's counts over a restart; after
	// a crash, those of the last few seconds are missing. No other ring may use
	// it. The default is Path with ".usage" appended.
	UsagePath string

	Logger *slog.Logger // the default discards
}

const (
	lookEvery = time.Second     // how often the file is looked at, at most
	saveEvery = 3 * time.Second // how often the day's counts are written, at most
)

// Ring holds the keys of a server and what they have used. It is safe for
// concurrent use. It reads its file again when that has changed, which it sees
// within a second of being asked anything.
type Ring struct {
	cfg Config

	loading chan struct{} // holds one token; who took it may read the file and install
	changed chan struct{} // tells save that counts changed; holds one
	stop    context.CancelFunc
	saving  sync.WaitGroup

	mu       sync.Mutex // guards what follows; no I/O under it
	accounts map[id]*account
	byHash   map[prefix][]*account
	required bool
	seen     fs.FileInfo // of the file that was installed; nil for none
	failure  string      // the latest attempt to load, if it failed
	lookAt   time.Time   // when to look at the file again
	unknown  uint64
	dirty    bool // counts changed since they were saved
}

// id tells a key from one of the same name that was there before.
type id struct {
	name string
	hash Hash
}

// prefix is the part of a hash by which it is looked up; the whole of it is then
// compared in constant time. To compare it with all of 10,000 would take 100 µs.
// The most that the lookup's time can tell is how a stored hash begins, and from
// a hash of 128 random bits nobody finds the secret.
type prefix [8]byte

// account is a key and what it has used. The ring's mutex guards it.
type account struct {
	key      *Key // what it points to never changes
	state    state
	admitted uint64
	refused  map[Reason]uint64
}

// Open reads the keys, and the day's counts. It fails if the file of keys is
// there and cannot be used. Close must follow.
func Open(cfg Config) (*Ring, error) {
	if cfg.Path == "" {
		return nil, errors.New("a ring needs the path of its file of keys")
	}
	cfg.UsagePath = cmp.Or(cfg.UsagePath, cfg.Path+".usage")
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.Background())
	r := &Ring{cfg: cfg, stop: stop, loading: make(chan struct{}, 1), changed: make(chan struct{}, 1)}
	if err := r.Reload(); err != nil {
		stop()
		return nil, err
	}
	r.restore()
	r.saving.Go(func() { r.save(ctx) })
	return r, nil
}

// Close writes the day's counts. The ring may still be asked, but nothing is
// written after that.
func (r *Ring) Close() error {
	r.stop()
	r.saving.Wait()
	return r.writeUsage(time.Now())
}

// Required reports whether requests need a key: there is one, or was one since
// Open, or the file cannot be read.
func (r *Ring) Required() bool {
	r.look()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.required || r.failure != ""
}

// Authenticate returns the key of a secret. Its error is a [RefusedError]:
// Unknown or Expired.
func (r *Ring) Authenticate(secret string) (*Key, error) {
	r.look()
	hash := hashOf(secret)
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.find(hash)
	if a == nil {
		r.unknown++
		return nil, refused(Unknown, 0, "the key is not known")
	}
	if a.key.Limits.expired(time.Now()) {
		return nil, a.refuse(refused(Expired, 0, "the key has expired"))
	}
	return a.key, nil
}

// find needs the lock.
func (r *Ring) find(hash Hash) *account {
	for _, a := range r.byHash[prefix(hash[:])] {
		if subtle.ConstantTimeCompare(a.key.Hash[:], hash[:]) == 1 {
			return a
		}
	}
	return nil
}

// refuse needs the lock. It counts the refusal and returns it.
func (a *account) refuse(e *RefusedError) *RefusedError {
	if a.refused == nil {
		a.refused = map[Reason]uint64{}
	}
	a.refused[e.Reason]++
	return e
}

// Begin admits n runs, at least one, of a language, by its canonical name, of
// which atOnce, from one to n, are under way at a time. It takes all of them or
// nothing. Its error is a [RefusedError].
//
// Whoever got release calls it when all of them are over, with the number of
// those that were carried out: the others do not count for the day. The first
// call decides.
func (r *Ring) Begin(k *Key, language string, n, atOnce int) (release func(ran int), err error) {
	if n < 1 || atOnce < 1 || atOnce > n {
		panic("keys: Begin of no runs, or of too many at once")
	}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.accounts[id{k.Name, k.Hash}]
	if a == nil { // removed since it was authenticated
		r.unknown++
		return nil, refused(Unknown, 0, "the key is not known")
	}
	next, refusal := admit(a.state, a.key.Limits, language, n, atOnce, now)
	if refusal != nil {
		return nil, a.refuse(refusal)
	}
	a.state = next
	a.admitted += uint64(n)
	r.touch()
	day := next.day
	var once sync.Once
	return func(ran int) {
		once.Do(func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			a.state = finish(a.state, n, atOnce, min(max(ran, 0), n), day)
			r.touch()
		})
	}, nil
}

// touch needs the lock. It says that counts changed.
func (r *Ring) touch() {
	r.dirty = true
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// look reads the file again if it has changed, unless it was just looked at or
// another goroutine is at it.
func (r *Ring) look() {
	now := time.Now()
	r.mu.Lock()
	due := !now.Before(r.lookAt)
	if due {
		r.lookAt = now.Add(lookEvery)
	}
	seen, failure := r.seen, r.failure
	r.mu.Unlock()
	if !due {
		return
	}
	info, err := os.Stat(r.cfg.Path)
	if failure == "" && (err == nil && seen != nil && same(info, seen) || errors.Is(err, fs.ErrNotExist) && seen == nil) {
		return
	}
	select {
	case r.loading <- struct{}{}:
	default:
		return
	}
	defer func() { <-r.loading }()
	switch n, err := r.load(); {
	case err == nil:
		r.cfg.Logger.Info("the keys were read again", "path", r.cfg.Path, "keys", n)
	case err.Error() != failure:
		r.cfg.Logger.Error("the keys stay as they were", "error", err)
	}
}

// same reports whether two looks at a file saw one state of it.
func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// Reload reads the file now. If it cannot be used, the keys stay as they were.
func (r *Ring) Reload() error {
	r.loading <- struct{}{}
	defer func() { <-r.loading }()
	_, err := r.load()
	return err
}

// load needs the token of loading. It returns how many keys there are; a file
// that is gone has none.
func (r *Ring) load() (int, error) {
	keys, info, err := load(r.cfg.Path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.failure = err.Error()
		return 0, err
	}
	r.failure, r.seen = "", info
	r.install(keys)
	return len(keys), nil
}

// install needs the lock. A key that was there keeps what it has used.
func (r *Ring) install(keys []Key) {
	accounts := make(map[id]*account, len(keys))
	byHash := make(map[prefix][]*account, len(keys))
	for i := range keys {
		k := &keys[i]
		a := r.accounts[id{k.Name, k.Hash}]
		if a == nil {
			a = &account{}
		}
		a.key = k
		accounts[id{k.Name, k.Hash}] = a
		p := prefix(k.Hash[:])
		byHash[p] = append(byHash[p], a)
	}
	r.accounts, r.byHash = accounts, byHash
	r.required = r.required || len(keys) > 0
}

// Stats is a snapshot of a ring.
type Stats struct {
	Keys    []KeyStats // sorted by name
	Unknown uint64     // refusals for which no key was found
}

// KeyStats is what one key did since the ring was opened.
type KeyStats struct {
	Name     string
	Running  int               // runs that were admitted and are not over
	Admitted uint64            // runs
	Refused  map[Reason]uint64 // refusals
}

// Stats returns a snapshot. All its figures are of the same moment.
func (r *Ring) Stats() Stats {
	r.look()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Stats{Unknown: r.unknown, Keys: make([]KeyStats, 0, len(r.accounts))}
	for _, a := range r.accounts {
		s.Keys = append(s.Keys, KeyStats{a.key.Name, a.state.running, a.admitted, maps.Clone(a.refused)})
	}
	slices.SortFunc(s.Keys, func(a, b KeyStats) int { return cmp.Compare(a.Name, b.Name) })
	return s
}
