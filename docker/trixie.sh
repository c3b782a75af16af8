#!/bin/bash
# docker/trixie.sh - tries the Dockerfile's steps without Docker, in a fresh Debian 13 (trixie).
#
# Makes two roots in a temporary folder with debootstrap, runs in the first what the build
# stage runs and the unit tests, and in the second what the last stage runs and the program.
# Needs root and the package debootstrap; removes what it made. MIRROR=address of Debian's.
set -euo pipefail

source=$(cd "$(dirname "$0")/.." && pwd)
mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -1)}
folder=$(mktemp -d "${TMPDIR:-/tmp}/weir-trixie.XXXXXX")
stage=$folder/build

clean_up() {
    status=$?
    trap '' INT TERM HUP
    for proc in "$folder"/*/proc; do
        if mountpoint -q "$proc"; then umount "$proc" || umount -l "$proc"; fi
    done
    rm -rf --one-file-system "$folder"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

say() { echo "trixie: $*" >&2; }

# What the network needs is lent by this machine.
prepare() {
    cp /etc/resolv.conf /etc/hosts "$1/etc/"
    apt-config dump --format '%f "%v";%n' Acquire::http::Proxy Acquire::https::Proxy >"$1/etc/apt/apt.conf.d/90proxy"
    mount -t proc proc "$1/proc"
}

in_root() {
    root=$1
    shift
    timeout --foreground 900 env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 JOBS="${JOBS:-2}" \
        chroot "$root" "$@"
}

say "a fresh Debian 13 from $mirror"
timeout 600 debootstrap --variant=minbase trixie "$stage" "$mirror" >"$folder/log" || { tail -20 "$folder/log" >&2; exit 1; }
cp -a "$stage" "$folder/run"
prepare "$stage"
prepare "$folder/run"

say "the build stage"
mkdir "$stage/src"
tar -C "$source" --exclude='./build*' --exclude=./.git --exclude=__pycache__ -cf - . | tar -C "$stage/src" -xf -
in_root "$stage" /src/docker/install.sh build
in_root "$stage" /src/docker/build.sh /build
in_root "$stage" /build/proxy/weir --version

say "the last stage"
cp "$source/docker/install.sh" "$folder/run/tmp/"
in_root "$folder/run" /tmp/install.sh run
cp "$stage/build/proxy/weir" "$folder/run/usr/local/bin/"
in_root "$folder/run" weir --version
in_root "$folder/run" ldd /usr/local/bin/weir

say "unit, lint and fuzz tests"
in_root "$stage" /src/tests/run.sh unit lint fuzz
say "all is well"
