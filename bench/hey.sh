#!/bin/sh
# Measures with hey what a server sustains: eight clients that post Python's
# hello world back to back, so that launches are the bound and nobody is turned
# away. hey does not read answers; the scripts of k6 do.
#
#   bench/hey.sh [URL]
#
#   PREHEAT_KEY    the server's key, where it needs one
#   HEY_DURATION   default 15s
#   RESULTS        where to write the figures, without an ending; default nowhere
#
# Exits 1 when an answer is anything but a 200.
set -eu

report=$(hey -z "${HEY_DURATION:-15s}" -c 8 -t 60 -m POST -T application/json -H "X-API-Key: ${PREHEAT_KEY:-}" \
	-d '{"code":"print(\"hello\")"}' "${1:-http://127.0.0.1:5000}/run")
echo "$report"
row=$(echo "$report" | awk -v OFS='\t' '
	/Requests\/sec:/ { rate = $2 }
	/ in [0-9.]+ secs$/ { took[$1 + 0] = $3 * 1000 }
	/^ *\[[0-9]+\]\t[0-9]+ responses/ { all += $2 }
	/^ *\[200\]\t/ { ok = $2 }
	/^Error distribution/ { errors = 1 }
	END {
		held = ok > 0 && ok == all && !errors
		# hey leaves p99 out where there are fewer than a hundred answers.
		printf "%d\t%d\t%d\t%.1f\t%.0f\t%.0f\t%s\t%s\n", all, ok, all - ok, rate * ok / (all ? all : 1),
			took[50], took[95], 99 in took ? sprintf("%.0f", took[99]) : "-", held ? "held" : "missed: nothing but 200"
	}')
[ -z "${RESULTS:-}" ] || echo "$row" >"$RESULTS.row"
case $row in *held) ;; *) exit 1 ;; esac
