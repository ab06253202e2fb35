// Package oci is the driver for an OCI runtime (crun, runc or gVisor's runsc)
// that is invoked directly: there is no daemon.
//
// [New] makes a driver, [Driver.Launch] a sandbox: the spec of [render] is
// written to a bundle, and the runtime makes the container and ends. The
// container's first process is the agent, with pipes for its standard input and
// outputs, which carry the agent's frames. There is no exec. The kernel's own
// files tell the rest: the cgroup counts what a run costs and whether the OOM
// killer struck, and through it everything in a sandbox is killed.
//
// The root is one shared read-only tree for all sandboxes of a language. Where
// this process is root, each sandbox has a user namespace with a range of users
// of its own.
//
// This process adopts what the runtimes leave behind (PR_SET_CHILD_SUBREAPER), and
// so must not start a process of its own in a session of its own.
// What a sandbox leaves, if this process is killed, is a folder in
// Config.Folder and a cgroup of the same name; [Driver.Reap] finds it by them.
package oci

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/agent"
	"github.com/preheat/preheat/sandbox/profile"
)

const (
	// cleanUp bounds what is done to leave nothing behind.
	cleanUp = 30 * time.Second

	// orphanAge is how long another instance has to remove a sandbox of its own
	// that has ended, before Reap does.
	orphanAge = 10 * time.Minute

	// treesFolder is where trees are mounted, in Config.Folder.
	treesFolder = "trees"
)

// Config says how a Driver works.
type Config struct {
	// Instance names this server among those of the machine. It must be the same
	// after a restart and must not be shared.
	Instance string

	// Folder holds what lives as long as its sandboxes. It should be in memory;
	// the default is /run/preheat, or preheat in $XDG_RUNTIME_DIR, or else /run/user/UID,
	// of another user than root.
	Folder string

	// CgroupParent is the cgroup below which sandboxes have theirs. The default
	// is /preheat, or the one that systemd has delegated to this process.
	CgroupParent string

	Observe Observe // may be nil
	Logger  *slog.Logger
}

// Driver launches sandboxes with OCI runtimes.
type Driver struct {
	cfg     Config
	h       hierarchies
	key     string // the instance, as the name of folders and cgroups
	parent  string // cgroup of all sandboxes of the instance
	starter *starter
	ranges  atomic.Uint32 // of user namespaces, given out so far
	first   uint32        // range of this instance

	ended chan os.Signal // SIGCHLD; closed by Close, with which undertaker ends
	tasks sync.WaitGroup // undertaker

	mu       sync.Mutex // guards versions
	versions map[string]string
}

var _ sandbox.Driver = (*Driver)(nil)

// New returns a driver. It fails where the machine cannot hold what a sandbox
// is promised; see Supported.
func New(cfg Config) (*Driver, error) {
	if cfg.Instance == "" {
		return nil, errors.New("oci: the instance needs a name")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Observe == nil {
		cfg.Observe = func(string, time.Duration, bool) {}
	}
	cfg.Folder, _ = filepath.Abs(cmp.Or(cfg.Folder, defaultFolder()))
	if err := userNamespaces(); err != nil {
		return nil, err
	}
	h, err := readHierarchies()
	if err != nil {
		return nil, err
	}
	if cfg.CgroupParent == "" {
		if cfg.CgroupParent, err = h.parent(); err != nil {
			return nil, err
		}
	}
	sum := sha256.Sum256([]byte(cfg.Instance))
	key := hex.EncodeToString(sum[:8])
	hash := fnv.New32a()
	hash.Write(sum[:])
	d := &Driver{
		cfg: cfg, h: h, key: key, parent: filepath.Join("/", cfg.CgroupParent, key),
		first:    hash.Sum32() % rangeCount,
		versions: map[string]string{},
	}
	if missing := h.missing(); len(missing) > 0 {
		return nil, fmt.Errorf("oci: no limit holds here: the cgroup controllers %v are missing", missing)
	}
	if err := h.enable(d.parent); err != nil {
		return nil, fmt.Errorf("oci: the cgroup %s: %w; this takes root, or a cgroup that is delegated to this user, with %v; "+
			"`systemctl edit user@.service` can add them to Delegate=", d.parent, err, needed)
	}
	err = errors.Join(os.MkdirAll(d.folder(), 0o711), reachable(cfg.Folder), adopt())
	if err == nil {
		d.starter, err = newStarter(filepath.Join(cfg.Folder, treesFolder), h.hybrid)
	}
	if err != nil {
		d.removeEmpty()
		return nil, err
	}
	d.ended = make(chan os.Signal, 1)
	signal.Notify(d.ended, unix.SIGCHLD)
	d.tasks.Go(d.undertaker)
	return d, nil
}

func defaultFolder() string {
	if os.Geteuid() == 0 {
		return "/run/preheat"
	}
	return filepath.Join(cmp.Or(os.Getenv("XDG_RUNTIME_DIR"), fmt.Sprintf("/run/user/%d", os.Geteuid())), "preheat")
}

// reachable reports where other users, which those of a user namespace are,
// cannot come to dir.
func reachable(dir string) error {
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("oci: %w", err)
		}
		if os.Geteuid() == 0 && info.Mode()&0o001 == 0 {
			return fmt.Errorf("oci: the users of sandboxes cannot pass %s; `chmod o+x` it, or take another folder", dir)
		}
	}
	return nil
}

// Close ends the driver's goroutines, and removes the folders and cgroups of the
// instance if no sandbox is in them.
func (d *Driver) Close() error {
	d.starter.close()
	signal.Stop(d.ended)
	close(d.ended)
	d.tasks.Wait()
	d.removeEmpty()
	return nil
}

func (d *Driver) removeEmpty() {
	os.Remove(d.folder())
	for _, mount := range d.h.mounts {
		unix.Rmdir(filepath.Join(mount, d.parent))
	}
}

// folder is where the sandboxes of this instance have theirs.
func (d *Driver) folder() string { return filepath.Join(d.cfg.Folder, d.key) }

// Check reports what is used.
func (d *Driver) Check(ctx context.Context) (sandbox.EngineInfo, error) {
	path, err := Find("")
	if err != nil {
		return sandbox.EngineInfo{}, fmt.Errorf("%w: %w", sandbox.ErrEngine, err)
	}
	version, err := d.version(ctx, path)
	if err != nil {
		return sandbox.EngineInfo{}, fmt.Errorf("%w: %w", sandbox.ErrEngine, err)
	}
	var memory unix.Sysinfo_t
	if err := unix.Sysinfo(&memory); err != nil {
		return sandbox.EngineInfo{}, fmt.Errorf("oci: %w", err)
	}
	info := sandbox.EngineInfo{
		Name: "oci", Version: version, StorageDriver: "folder", CgroupVersion: 1,
		Runtime: filepath.Base(path), CPUs: runtime.NumCPU(),
		MemoryBytes: int64(memory.Totalram) * int64(memory.Unit),
	}
	if d.h.unified != "" {
		info.CgroupVersion = 2
	}
	for _, name := range append(slices.Clone(preferred), "runsc") {
		if _, err := Find(name); err == nil {
			info.Runtimes = append(info.Runtimes, name)
		}
	}
	return info, nil
}

// version is versionOf, asked once.
func (d *Driver) version(ctx context.Context, path string) (string, error) {
	d.mu.Lock()
	known := d.versions[path]
	d.mu.Unlock()
	if known != "" {
		return known, nil
	}
	version, err := versionOf(ctx, path)
	if err != nil {
		return "", err
	}
	d.mu.Lock()
	d.versions[path] = version
	d.mu.Unlock()
	return version, nil
}

// Launch makes a sandbox, as sandbox.Driver describes.
func (d *Driver) Launch(ctx context.Context, lang sandbox.Language) (sandbox.Sandbox, error) {
	s, err := d.launch(ctx, lang, func(*specs.Spec) {})
	if err != nil {
		return nil, err // not s, which would be an interface that is not nil
	}
	return s, nil
}

func (d *Driver) launch(ctx context.Context, lang sandbox.Language, change func(*specs.Spec)) (*Sandbox, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lang.Limits.Warmup,
		fmt.Errorf("oci: a %s sandbox was not warm after %s", lang.Name, lang.Limits.Warmup))
	defer cancel()
	runtime, err := Find(lang.Runtime)
	if err != nil {
		return nil, &launchError{err, reasonRuntimeMissing}
	}
	if _, err := os.Stat(filepath.Join(lang.Image, profile.AgentPath)); err != nil {
		err = fmt.Errorf("oci: the tree %s is missing or not whole; make it with `preheat images build`: %w", lang.Image, err)
		return nil, &launchError{err, reasonImageMissing}
	}
	s := d.newSandbox(lang, runtime)
	spec, err := s.spec()
	if err != nil {
		return nil, &launchError{err, reasonImageMissing}
	}
	change(spec)
	done := d.cfg.Observe.call(opCreate)
	err = s.create(ctx, spec)
	done(err)
	if err == nil {
		err = s.warm(ctx)
	}
	if err == nil {
		return s, nil
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUp)
	defer cancel()
	if left := errors.Join(killStrays(clean, s.id), s.Destroy(clean)); left != nil {
		err = errors.Join(err, fmt.Errorf("and left to the next start: %w", left))
	}
	return nil, err
}

func (d *Driver) newSandbox(lang sandbox.Language, runtime string) *Sandbox {
	id := fmt.Sprintf("%s-%s", lang.Name, rand.Text()[:16])
	return &Sandbox{
		driver: d, lang: lang, id: id, runtime: runtime,
		folder: filepath.Join(d.folder(), id),
		cgroup: cgroup{d.h, filepath.Join(d.parent, id)},
	}
}

// spec is the sandbox's lock-down, for a user that no other living one has.
func (s *Sandbox) spec() (*specs.Spec, error) {
	tree, err := s.driver.starter.tree(s.lang.Image)
	if err != nil {
		return nil, err
	}
	user, mapped := s.driver.nextUser()
	return render(s.lang, tree, user, mapped, s.cgroup.path), nil
}

// writeBundle writes what the runtime reads.
func (s *Sandbox) writeBundle(spec *specs.Spec) error {
	text, err := json.Marshal(spec)
	if err == nil {
		err = errors.Join(os.MkdirAll(s.folder, 0o711), os.WriteFile(filepath.Join(s.folder, "config.json"), text, 0o600))
	}
	if err != nil {
		return fmt.Errorf("oci: a bundle: %w", err)
	}
	return nil
}

// command is a call of the sandbox's runtime, for the driver's starter.
func (s *Sandbox) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.runtime, append(arguments(s.runtime, filepath.Join(s.folder, "state")), args...)...)
	// When Go's runtime looks for a change of the processors, gVisor's gofer is
	// ended by its own filter, which does not know that system call.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GODEBUG=updatemaxprocs=0"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as buryOrphans expects of what is waited for
	return cmd
}

// create makes the container: the runtime is called, and has ended when create
// returns. What it made is there even when it failed.
func (s *Sandbox) create(ctx context.Context, spec *specs.Spec) error {
	err := s.writeBundle(spec)
	if err == nil {
		s.pipes, err = newPipes()
	}
	if err != nil {
		return &launchError{err, reasonOther}
	}
	cmd := s.command(ctx, "run", "--detach", "--bundle", s.folder, s.id)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.pipes.theirs[0], s.pipes.theirs[1], s.pipes.theirs[2]
	if err := s.driver.starter.start(cmd); err != nil {
		s.pipes.closeTheirs()
		return &launchError{fmt.Errorf("oci: start %s: %w", s.runtime, err), reasonRuntimeMissing}
	}
	s.pipes.started()
	err = cmd.Wait()
	buryOrphans()
	if ctx.Err() != nil {
		return &launchError{context.Cause(ctx), reasonNotWarm}
	}
	if err != nil {
		return &launchError{fmt.Errorf("oci: %s run: %w: %s", filepath.Base(s.runtime), err, s.pipes.end()), reasonRefused}
	}
	return nil
}

// warm waits until the agent is.
func (s *Sandbox) warm(ctx context.Context) error {
	conn, err := agent.Handshake(ctx, s.lang, rand.Text(), s.pipes)
	if err != nil {
		if said := s.pipes.said.String(); said != "" {
			err = fmt.Errorf("%w; it said: %s", err, said)
		}
		return &launchError{err, reasonNotWarm}
	}
	s.conn = conn
	return nil
}

// The users of user namespaces on the host. Each range has what programs
// expect: 65,536 of them. The first is above what systems give to people and to
// subordinate users, the last below 2^31.
const (
	firstRange = 0x1000_0000
	rangeSize  = 0x1_0000
	rangeCount = 0x6000
)

// nextUser returns the user that a program is in its sandbox, and what users its
// user namespace has, whose size is 0 where there is none.
func (d *Driver) nextUser() (int, ids) {
	if uid := os.Geteuid(); uid != 0 {
		return 0, ids{uint32(uid), 1}
	}
	n := (d.first + d.ranges.Add(1)) % rangeCount
	return profile.FirstUser, ids{firstRange + n*rangeSize, rangeSize}
}

// Sandboxes returns the ids of this instance's sandboxes that there are, dead or
// alive, those that are being launched included.
func (d *Driver) Sandboxes(context.Context) ([]string, error) { return d.left(d.key) }
