#!/bin/sh -eu
# Run by meson: tools.sh format | tidy | cppcheck
cd "$MESON_SOURCE_ROOT"
program='base pool drivers proxy'
case $1 in
format) find $program tests -name '*.[ch]' -print0 | xargs -0 clang-format -i ;;
tidy) find $program -name '*.c' -print0 | xargs -0 -n 4 -P 2 clang-tidy --quiet -p "$MESON_BUILD_ROOT" ;;
cppcheck) cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability \
    --inline-suppr --library="$PWD/tests/lint/cppcheck.cfg" -D_GNU_SOURCE -I. $program ;;
esac
