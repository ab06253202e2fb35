#!/bin/sh
# Fails when the code can reach a known vulnerability that is not excepted here.
#
#   scripts/vuln.sh GOVULNCHECK
#
# Where the vulnerability database cannot be reached nothing is checked, and a
# line says so; PREHEAT_VULN=required makes that a failure.
set -eu

# Exceptions, one a line: the identifier, and why it does not concern preheat.
exceptions='
GO-2025-3829 the daemon and firewalld; preheat links only the client
GO-2026-4883 plugin privileges in the daemon; preheat links only the client
GO-2026-4887 authorization plugins of the daemon; preheat links only the client
'

report=$(mktemp)
trap 'rm -f "$report"' EXIT
if ! "$1" -format json ./... >"$report" 2>"$report.err"; then
	echo "vuln: not checked: $(tail -n 1 "$report.err")" >&2
	rm -f "$report.err"
	[ "${PREHEAT_VULN:-}" != required ]
	exit
fi
rm -f "$report.err"

# A finding whose trace names a function is one that the code can reach.
found=$(tr -d ' \n' <"$report" | grep -oE '"finding":\{"osv":"GO-[0-9-]+"[^]]*"function"' | grep -oE 'GO-[0-9]+-[0-9]+' | sort -u || true)
failed=0
for id in $found; do
	if ! echo "$exceptions" | grep -q "^$id "; then
		echo "vuln: $id is reachable: https://pkg.go.dev/vuln/$id" >&2
		failed=1
	fi
done
exit $failed
