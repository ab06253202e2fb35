#!/bin/sh
# Makes sure that sandboxes can be made without a Docker Engine: by an OCI
# runtime, crun or runc, with roots from mmdebstrap where no registry answers.
# Says nothing when both are there.
#
#   scripts/runtime.sh
#
# Where one is missing, and this is root on a Debian-like system, Debian's
# package is installed. Exits 1, with a sentence, when there is no runtime.
#
#   PREHEAT_INSTALL_RUNTIME=no   install nothing
#   PREHEAT_RUNTIME_ROOT         before every absolute path; for tests
set -eu

root=${PREHEAT_RUNTIME_ROOT:-}
allowed=${PREHEAT_INSTALL_RUNTIME:-yes}
install_log=$root/var/log/preheat-install.log
PATH=$PATH:$root/usr/sbin:$root/sbin # su without a dash leaves them out

say() { echo "runtime: $*" >&2; }

refuse() {
	say "$1"
	say "Install crun or runc, or start a Docker Engine (\`make engine\` does, as root on Debian), and try again."
	exit 1
}

# shellcheck source=scripts/install.sh
. "${0%"${0##*/}"}./install.sh"

has() { command -v "$1" >/dev/null; }
has_runtime() { has crun || has runc; }

missing=
has_runtime || missing=crun
has mmdebstrap || missing="$missing mmdebstrap"
if [ -n "$missing" ] && may_install; then
	# shellcheck disable=SC2086 # they are several words
	install $missing || say "going on without:$missing"
fi
has_runtime || refuse "There is no OCI runtime, and this may not or cannot install one."
