#!/bin/sh
# Makes the server's image without a registry, from a static binary alone:
#
#   deploy/image/import.sh BINARY NAME:TAG
#
# What the image is set to is what the last stage of deploy/Dockerfile says.
set -eu

binary=$1 name=$2
dockerfile=$(dirname "$0")/../Dockerfile

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/var/lib/preheat" "$root/run/preheat"
cp "$binary" "$root/preheat"
chmod 0755 "$root/preheat"
tar -C "$root" --owner=0 --group=0 --numeric-owner -cf "$root/image.tar" preheat
tar -C "$root" --owner=65532 --group=65532 --numeric-owner -rf "$root/image.tar" var/lib/preheat run/preheat

set --
while IFS= read -r line; do
	set -- "$@" --change "$line"
done <<EOF
$(sed -n '/^FROM scratch$/,$p' "$dockerfile" | grep -vE '^(FROM|COPY) ')
EOF
docker import "$@" "$root/image.tar" "$name"
