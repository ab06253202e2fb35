# shellcheck shell=sh
# Sourced by scripts that install packages. They define say, which prints a line,
# install_log, the file for what apt-get prints, and allowed, which is no where
# the user wants nothing installed.

# shellcheck disable=SC2154 # allowed and install_log are the script's
may_install() { [ "$allowed" != no ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

# install PACKAGE...: with a line every ten seconds, and the log's end if it fails.
install() {
	say "installing $* (log: $install_log)"
	(apt-get update && apt-get install -y --no-install-recommends "$@") \
		</dev/null >"$install_log" 2>&1 &
	job=$! seconds=0
	while kill -0 "$job" 2>/dev/null; do
		sleep 1
		seconds=$((seconds + 1))
		[ $((seconds % 10)) -ne 0 ] || say "still installing, $seconds s: $(tail -n 1 "$install_log")"
	done
	wait "$job" && return
	say "apt-get failed:"
	tail -n 20 "$install_log" >&2
	return 1
}
