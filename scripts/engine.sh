#!/bin/sh
# Makes sure that a Docker Engine answers, and says nothing when one does.
#
#   scripts/engine.sh PROBE [ARG...]
#
# PROBE exits 0 when the Engine at DOCKER_HOST, or else at the default socket,
# answers. Where none does, and this is root on a Debian-like system, one is
# installed and started. Exits 1, with a sentence, when it cannot.
#
#   PREHEAT_INSTALL_ENGINE=no   neither install nor start anything
#   PREHEAT_DOCKERD_ARGS        more arguments for dockerd
#   PREHEAT_ENGINE_WAIT         seconds that it may take to answer; default 60
#   PREHEAT_ENGINE_ROOT         before every absolute path; for tests
set -eu

root=${PREHEAT_ENGINE_ROOT:-}
run=$root/var/run
allowed=${PREHEAT_INSTALL_ENGINE:-yes}
install_log=$root/var/log/preheat-install.log
daemon_log=$root/var/log/preheat-dockerd.log
wait_seconds=${PREHEAT_ENGINE_WAIT:-60}
PATH=$PATH:$root/usr/sbin:$root/sbin # su without a dash leaves them out

say() { echo "engine: $*" >&2; }

refuse() {
	say "$1"
	say "Start a Docker Engine (https://docs.docker.com/engine/install/), or set DOCKER_HOST to one, and try again."
	exit 1
}

answers() { "$@" >/dev/null 2>&1; }

# shellcheck source=scripts/install.sh
. "${0%"${0##*/}"}./install.sh"

# runs PIDFILE NAME: does the process in the file live, and is it called so?
runs() {
	pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] || return 1
	[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ] &&
		! grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" 2>/dev/null
}

# any NAME: does any process called so live?
any() { grep -qx "$1" /proc/[0-9]*/comm 2>/dev/null; }

# clean_stale removes what a killed daemon left behind. A pid file whose number
# another process has got keeps dockerd from starting; a dead containerd's
# socket makes it wait in vain.
clean_stale() {
	rm -f "$run/docker.pid" "$run/docker.sock"
	runs "$run/docker/containerd/containerd.pid" containerd ||
		rm -f "$run/docker/containerd/containerd.pid" "$run/docker/containerd/"*.sock "$run/docker/containerd/"*.sock.ttrpc
	any containerd || rm -f "$run/containerd/containerd.sock" "$run/containerd/containerd.sock.ttrpc"
}

start() {
	daemon=
	if [ -d "$root/run/systemd/system" ]; then
		say "starting the Docker Engine with systemd"
		systemctl start docker || refuse "systemd could not start it; see: systemctl status docker"
	elif runs "$run/docker.pid" dockerd; then
		say "dockerd runs but does not answer yet"
	else
		clean_stale
		say "starting dockerd (log: $daemon_log)"
		# shellcheck disable=SC2086 # they are several words
		setsid dockerd ${PREHEAT_DOCKERD_ARGS:-} </dev/null >>"$daemon_log" 2>&1 &
		daemon=$!
	fi
}

# await PROBE...: until the Engine answers.
await() {
	began=$(date +%s) told=0
	until answers "$@"; do
		seconds=$(($(date +%s) - began))
		if [ -n "$daemon" ] && ! kill -0 "$daemon" 2>/dev/null; then
			give_up "dockerd has ended"
		elif [ "$seconds" -ge "$wait_seconds" ]; then
			give_up "the Docker Engine does not answer after $seconds s"
		elif [ $((seconds - told)) -ge 5 ]; then
			told=$seconds
			say "waiting for it to answer, $seconds s"
		fi
		sleep 0.5
	done
	say "the Docker Engine answers"
}

give_up() {
	[ ! -f "$daemon_log" ] || tail -n 20 "$daemon_log" >&2
	refuse "$1"
}

[ $# -gt 0 ] || { say "usage: engine.sh PROBE [ARG...]"; exit 2; }

if ! answers "$@"; then
	[ -z "${DOCKER_HOST:-}" ] || refuse "No Docker Engine answers at DOCKER_HOST=$DOCKER_HOST, and one elsewhere would not be used."
	[ "$allowed" != no ] || refuse "No Docker Engine answers, and PREHEAT_INSTALL_ENGINE=no forbids to install or start one."
	[ "$(id -u)" = 0 ] || refuse "No Docker Engine answers, and only root can install or start one."
	if ! command -v dockerd >/dev/null; then
		may_install || refuse "No Docker Engine answers, and without apt-get this cannot install one."
		say "no Docker Engine answers; installing Debian's (PREHEAT_INSTALL_ENGINE=no forbids it)"
		install docker.io mmdebstrap || refuse "The Docker Engine could not be installed."
	fi
	answers "$@" || { start; await "$@"; }
fi

# The images come from Debian where no registry answers.
if ! command -v mmdebstrap >/dev/null && may_install; then
	install mmdebstrap || say "going on without mmdebstrap: the images need a registry then"
fi
