#!/bin/sh
# docker/build.sh [FOLDER] - builds the release that local.sh, the image and the bench run.
set -eu

cd "$(dirname "$0")/.."
folder=${1:-build-release}
if [ ! -e "$folder/build.ninja" ]; then
    meson setup "$folder" --buildtype=release -Dtests=disabled
fi
meson compile -C "$folder" -j "${JOBS:-$(nproc)}" weir
