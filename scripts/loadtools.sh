#!/bin/sh
# Makes sure that what puts load on a server is there: hey, and bin/tools/k6 at
# the version below, built from its Go module. Says nothing when it is. On
# Debian, root gets hey installed; the docker command comes with the Engine.
set -eu

version=v1.8.1
k6=$(dirname "$0")/../bin/tools/k6
log=$(mktemp)
trap 'rm -f "$log"' EXIT

say() { echo "loadtools: $*" >&2; }

# install COMMAND...: with a line every ten seconds, and the log's end if it fails.
install() {
	"$@" </dev/null >"$log" 2>&1 &
	job=$! seconds=0
	while kill -0 "$job" 2>/dev/null; do
		sleep 1
		seconds=$((seconds + 1))
		[ $((seconds % 10)) -ne 0 ] || say "still installing, $seconds s: $(tail -n 1 "$log")"
	done
	if ! wait "$job"; then
		say "it failed:"
		tail -n 20 "$log" >&2
		exit 1
	fi
}

apt_install() { apt-get update && apt-get install -y --no-install-recommends "$@"; }

if ! command -v docker >/dev/null; then
	say "the docker command is needed on PATH, to see that no container is left; Debian's docker.io has it"
	exit 1
fi
if ! command -v hey >/dev/null; then
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		say "hey is needed on PATH, and is not found: https://github.com/rakyll/hey"
		exit 1
	fi
	say "installing hey"
	install apt_install hey
fi
if ! "$k6" version 2>/dev/null | grep -q "^k6 $version "; then
	say "building k6 $version from its module (one to five minutes)"
	mkdir -p "${k6%/*}"
	install env GOBIN="$(cd "${k6%/*}" && pwd)" CGO_ENABLED=0 go install -v "go.k6.io/k6@$version"
fi
