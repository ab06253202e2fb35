#!/bin/bash
# Puts load on a real server and says what it bore: bench/hey.sh measures how
# many runs a second it sustains, and every script of bench/k6 goes by that. The
# server is bin/preheat with its defaults, on a free port and with a data folder
# of its own; PREHEAT_ variables reach it. Everything is kept in bench/results.
#
#   bench/load.sh            print the table
#   bench/load.sh -update    put it into docs/load.md too
#
#   SOAK_DURATION   of the last script; default 40s
#
# Exits 1 when a threshold was missed, an answer was wrong, or the server did not
# end cleanly or left a container behind.
set -euo pipefail
cd "$(dirname "$0")/.."

results=bench/results
instance=load-$$
data=$(mktemp -d)
status=0

say() { echo "load: $*" >&2; }

fail() {
	say "$*"
	status=1
}

# stop ends the server, and looks for what it left.
stop() {
	kill -TERM "$server" 2>/dev/null || true
	wait "$server" || fail "the server ended with $?; $results/server.log says why"
	left=$(docker ps -aq --filter "label=preheat.instance=$instance")
	[ -z "$left" ] || fail "the server left containers behind: $left"
	rm -rf "$data"
}

rm -rf "$results"
mkdir -p "$results"
load=$(cut -d' ' -f1-3 /proc/loadavg)
# In a session of its own: a Ctrl-C is for this script, which then stops it.
setsid bin/preheat serve --addr 127.0.0.1:0 --instance "$instance" --data "$data" --log-level info --log-format text \
	2>"$results/server.log" &
server=$!
trap 'stop; exit 1' EXIT
until url=$(grep -osm1 'url=http://[^ ]*' "$results/server.log"); do
	kill -0 "$server" 2>/dev/null || exit 1
	sleep 0.1
done
export URL=${url#url=}

# measure NAME COMMAND...: runs it, and keeps what it says and the line it makes.
measure() {
	local name=$1
	shift
	say "$name"
	RESULTS=$results/$name "$@" >"$results/$name.log" 2>&1 || fail "$name: not all thresholds held; $results/$name.log"
}

script() {
	measure "$1" env K6_WEB_DASHBOARD=true K6_WEB_DASHBOARD_PORT=-1 K6_WEB_DASHBOARD_PERIOD=1s \
		K6_WEB_DASHBOARD_EXPORT="$results/$1.html" bin/tools/k6 run --quiet --no-color --no-usage-report "bench/k6/$1.js"
}

script smoke
measure hey bench/hey.sh "$URL"
RATE=$(cut -f4 "$results/hey.row")
export RATE
for name in steady burst overload soak; do script "$name"; done
peak=$(awk '/^VmHWM/ { print int($2 / 1024) }' "/proc/$server/status")
trap - EXIT
stop

line() { printf '| %-8s | %8s | %8s | %8s | %10s | %7s | %7s | %7s | %-10s |\n' "$@"; }

# table prints the figures as Markdown.
table() {
	line script requests accepted refused accepted/s 'p50 ms' 'p95 ms' 'p99 ms' thresholds
	line -------- -------: -------: -------: ---------: ------: ------: ------: ----------
	for name in smoke hey steady burst overload soak; do
		IFS=$'\t' read -ra row <"$results/$name.row" || row=('' '' '' '' '' '' '' 'did not run')
		line "$name" "${row[@]}"
	done
	echo
	echo "$(date -u +%F), $(nproc) cores, $(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo) MiB, Linux $(uname -r | cut -d. -f1,2)," \
		"$(docker version --format 'Docker Engine {{.Server.Version}}'), preheat $(bin/preheat version | head -n 1)," \
		"$(bin/tools/k6 version | cut -d' ' -f1,2). Load average before: $load; after: $(cut -d' ' -f1-3 /proc/loadavg)." \
		"The server's greatest resident size: $peak MiB."
}

table | tee "$results/summary.md"
say "reports of k6: $results/*.html"
if [ "${1:-}" = -update ]; then
	sed -i -e '/^<!-- figures/,/^<!-- end/{//!d}' -e "/^<!-- figures/r $results/summary.md" docs/load.md
fi
exit "$status"
