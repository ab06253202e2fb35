#!/bin/sh
# Makes sure that the Docker Engine on this machine has gVisor as its runtime
# runsc, and says what it did.
#
#   scripts/runsc.sh
#
# Where the Engine has none, a runsc on PATH is taken, or built from its Go
# module into /usr/local/bin. It is added to the daemon's configuration, whose
# other settings stay, and the daemon is told to read that again; no container
# is stopped. Exits 1, with a sentence, when it cannot, and when the Engine has
# one that other arguments are given to.
#
#   PREHEAT_RUNSC_ROOT   before every absolute path; for tests
#   PREHEAT_RUNSC_WAIT   seconds that the daemon may take; default 20
set -eu

# Debian's package is of 2022: it lacks the platform systrap and fails the
# driver's tests.
version=v0.0.0-20250523182742-eede7a881b20

# No container of preheat has a network, and gVisor then needs nothing of the
# host's. Without --oci-seccomp it passes over the Engine's seccomp profile.
runtime_args='--network=none --oci-seccomp'

root=${PREHEAT_RUNSC_ROOT:-}
config=$root/etc/docker/daemon.json
target=$root/usr/local/bin/runsc
wait_seconds=${PREHEAT_RUNSC_WAIT:-20}

say() { echo "runsc: $*" >&2; }

refuse() {
	say "$1"
	say "docs/gvisor.md says how to add it by hand."
	exit 1
}

runtimes() { docker info --format '{{range $name, $_ := .Runtimes}}{{println $name}}{{end}}'; }

known() { runtimes 2>/dev/null | grep -qx runsc; }

# takes reports whether the Engine gives its runsc an argument.
takes() {
	docker info --format '{{with index .Runtimes "runsc"}}{{range .Args}}{{println .}}{{end}}{{end}}' |
		grep -qxE -e "--?${1#--}(=true)?"
}

# check refuses a runsc in which the limits or the seccomp profile do not hold.
# Other containers may use it, so it is not changed here.
check() {
	change="Let its runtimeArgs in $config be $runtime_args, and send the daemon SIGHUP."
	for arg in $runtime_args; do
		takes "$arg" || refuse "The Engine has a runtime runsc, but without $arg. $change"
	done
	! takes --ignore-cgroups || refuse "The Engine has a runtime runsc, but with --ignore-cgroups: no limit holds. $change"
}

# daemon prints the process id of this machine's dockerd.
daemon() {
	pid=$(cat "$root/var/run/docker.pid" 2>/dev/null) && [ "$(cat "$root/proc/$pid/comm" 2>/dev/null)" = dockerd ] && echo "$pid"
}

# build makes runsc in a module of its own, with a line every ten seconds.
build() {
	folder=$(mktemp -d)
	trap 'rm -rf "$folder"' EXIT
	say "building gVisor's runsc $version from its module (some minutes)"
	(
		cd "$folder"
		go mod init runsc
		go get "gvisor.dev/gvisor/runsc@$version"
		CGO_ENABLED=0 go build -v -trimpath -buildvcs=false -o runsc \
			-ldflags "-s -w -X gvisor.dev/gvisor/runsc/version.version=$version" gvisor.dev/gvisor/runsc
	) </dev/null >"$folder/log" 2>&1 &
	job=$! seconds=0
	while kill -0 "$job" 2>/dev/null; do
		sleep 1
		seconds=$((seconds + 1))
		[ $((seconds % 10)) -ne 0 ] || say "still building, $seconds s: $(tail -n 1 "$folder/log")"
	done
	if ! wait "$job"; then
		tail -n 20 "$folder/log" >&2
		refuse "It could not be built."
	fi
	mkdir -p "${target%/*}"
	mv "$folder/runsc" "$target"
	say "installed $target after $seconds s"
}

# undo puts back the configuration that the daemon did not take.
undo() {
	if [ "$had_config" = yes ]; then mv "$config~" "$config"; else rm -f "$config"; fi
	kill -HUP "$pid"
	refuse "The daemon did not take the new configuration; $config is as it was. Its log says why."
}

case ${DOCKER_HOST:-} in
'' | unix:///var/run/docker.sock | unix:///run/docker.sock) ;;
*) refuse "DOCKER_HOST=$DOCKER_HOST is not this machine's daemon, and only that one can be given a runtime." ;;
esac
command -v docker >/dev/null || refuse "The docker command is needed, and is not on PATH."
runtimes >/dev/null 2>&1 || refuse "No Docker Engine answers; \`make engine\` starts one."
if known; then
	check
	say "the Engine has the runtime runsc; nothing to do"
	exit 0
fi
[ "$(id -u)" = 0 ] || refuse "The Engine has no runtime runsc, and only root can add it."
pid=$(daemon) || refuse "No dockerd of this machine is found by $root/var/run/docker.pid."

if command -v runsc >/dev/null; then
	target=$(command -v runsc)
	say "taking $target: $("$target" --version | head -n 1)"
else
	command -v go >/dev/null || refuse "Go is needed to build it, and is not on PATH."
	build
fi

had_config=no
[ ! -f "$config" ] || had_config=yes
# shellcheck disable=SC2086 # they are several words
said=$("$target" install --runtime runsc --clobber=false --config_file "$config" -- $runtime_args 2>&1) ||
	refuse "$config could not be changed: $said"
[ "$had_config" = no ] || say "kept the configuration as it was in $config~"
kill -HUP "$pid"
seconds=0
until known; do
	[ "$seconds" -lt "$wait_seconds" ] || undo
	sleep 1
	seconds=$((seconds + 1))
done
say "the Engine has the runtime runsc: $target $runtime_args; serve with --runtime runsc"
