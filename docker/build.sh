#!/bin/sh
# docker/build.sh [FOLDER] - builds the release that local.sh, the image and the bench run.
set -eu

cd "$(dirname "$0")/.."
folder=${1:-build-release}
# Optimized as a whole: an eighth less for a transaction. What the linker then warns of is no error.
if [ ! -e "$folder/build.ninja" ]; then
    meson setup "$folder" --buildtype=release -Db_lto=true -Dwerror=false -Dtests=disabled
fi
meson compile -C "$folder" -j "${JOBS:-$(nproc)}" weir
