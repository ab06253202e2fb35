# Functions that install a recipe's packages into a base. They run as root with
# network, so nothing of what pip and npm install is run here.
set -eu
export HOME=/tmp/preheat DEBIAN_FRONTEND=noninteractive
chmod 1777 /tmp
. /tmp/preheat/env
if [ -s /tmp/preheat/ca.pem ]; then
	export NODE_EXTRA_CA_CERTS=/tmp/preheat/ca.pem PIP_CERT=/tmp/preheat/ca.pem
fi

apt() {
	command -v apt-get >/dev/null || { echo "apt packages need a base of Debian"; return 1; }
	apt-get update -q
	apt-get install -q -y --no-install-recommends "$@"
}

# pip uses the wheel of pip that the base has: Debian's python3-pip-whl, or the
# one of ensurepip in Python's own images. What those have installed goes.
pip() {
	for wheel in /usr/share/python-wheels/pip-*.whl /usr/local/lib/python3*/ensurepip/_bundled/pip-*.whl; do
		[ -e "$wheel" ] || continue
		python3 "$wheel/pip" uninstall -q -y --break-system-packages pip setuptools wheel || true
		python3 "$wheel/pip" install --break-system-packages --root-user-action=ignore \
			--disable-pip-version-check --no-cache-dir --only-binary=:all: "$@"
		return
	done
	echo "pip packages need Python and the Debian package python3-pip-whl in the base"
	return 1
}

# npm installs to /node_modules, which require and import both find from /work.
# Not at once: npm fails with the root as its project.
npm() {
	node /tmp/preheat/npm/bin/npm-cli.js install --prefix /tmp/preheat/project --ignore-scripts \
		--no-audit --no-fund --no-save --no-package-lock --no-update-notifier --fetch-retries=1 "$@"
	mv /tmp/preheat/project/node_modules /
}
