#!/bin/sh
# Makes sure that what the tests drive is there: a Chromium for those of the page,
# curl and zip for the commands of the documents, Prometheus, crun for sandboxes
# without an Engine. Says nothing when it is. On Debian, root gets what is missing
# installed.
set -eu

log=/var/log/preheat-testtools.log
missing=
for tool in chromium curl zip prometheus crun; do
	command -v "$tool" >/dev/null || missing="$missing $tool"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "testtools: the tests need on PATH, and do not find:$missing" >&2
	exit 1
fi
echo "testtools: installing$missing (about a minute; log: $log)" >&2
# shellcheck disable=SC2086 # they are several words
if ! (apt-get update && apt-get install -y --no-install-recommends $missing fonts-dejavu-core) </dev/null >"$log" 2>&1; then
	echo "testtools: apt-get failed:" >&2
	tail -n 20 "$log" >&2
	exit 1
fi
