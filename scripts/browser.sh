#!/bin/sh
# Makes sure that there is a Chromium, which the tests of the page drive, and
# says nothing when there is. On Debian, root gets it installed.
set -eu

! command -v chromium >/dev/null || exit 0
log=/var/log/preheat-browser.log
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "browser: the tests of the page need chromium on PATH; install it and try again" >&2
	exit 1
fi
echo "browser: installing chromium (about a minute; log: $log)" >&2
if ! (apt-get update && apt-get install -y --no-install-recommends chromium fonts-dejavu-core) </dev/null >"$log" 2>&1; then
	echo "browser: apt-get failed:" >&2
	tail -n 20 "$log" >&2
	exit 1
fi
