#!/bin/bash
# tests/run.sh [unit|lint|fuzz|integration|all]... [-k EXPRESSION]
#
# Installs what is missing (Debian 12 and 13), builds with sanitizers in build-test/ and
# runs the tests asked for, or all. -k chooses integration tests, as pytest's does. The last
# lines are the runners' own and one with the totals; the status is 0 when none failed.
#
#   BUILD=folder   build there instead          JOBS=n   use so many processors
#   WEIR=program   integration tests of this program instead of the one built
set -euo pipefail

cd "$(dirname "$0")/.."
build=${BUILD:-build-test}
jobs=${JOBS:-$(nproc)}
suites=()
choice=()
while [ $# -gt 0 ]; do
    case $1 in
    unit | lint | fuzz | integration) suites+=("$1") ;;
    all) suites+=(unit lint fuzz integration) ;;
    -k) choice=(-k "${2?-k what?}") && shift ;;
    *) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 2 ;;
    esac
    shift
done
if [ ${#suites[@]} -eq 0 ]; then suites=(unit lint fuzz integration); fi

docker/install.sh build run servers test
mkdir -p "$build"
rm -f "$build"/result-*.xml
if [ ! -e "$build/build.ninja" ]; then
    meson setup "$build" -Db_sanitize=address,undefined -Dbuildtype=debugoptimized -Dtests=enabled
fi
meson compile -C "$build" -j "$jobs"

failed=0
meson_suites=()
for suite in "${suites[@]}"; do
    if [ "$suite" != integration ]; then meson_suites+=(--suite "$suite"); fi
done
if [ ${#meson_suites[@]} -gt 0 ]; then
    meson test -C "$build" --no-rebuild --print-errorlogs --num-processes "$jobs" "${meson_suites[@]}" || failed=1
    cp "$build/meson-logs/testlog.junit.xml" "$build/result-meson.xml"
fi
if [[ " ${suites[*]} " = *" integration "* ]]; then
    WEIR=${WEIR:-$build/proxy/weir} /usr/bin/python3 -m pytest -c tests/pytest.ini \
        --junitxml="$build/result-pytest.xml" "${choice[@]}" tests/integration || failed=1
fi

/usr/bin/python3 tests/totals.py $failed "$build"/result-*.xml
