#!/bin/sh
# docker/install.sh SET... - installs those of Debian's packages that are missing (Debian 12 and 13).
#
#   build    what weir is compiled with            run      what the compiled weir needs
#   servers  PostgreSQL, Redis, their clients      test     what the tests need
#   bench    what weir is measured with and beside
#
# Needs no network and no right when nothing is missing; otherwise root, or sudo. Servers
# that it installs are neither started nor enabled: the scripts start private ones.
set -eu

libraries='libuv1-dev libpq-dev libhiredis-dev libssl-dev libjansson-dev zlib1g-dev'

say() { echo "install: $*" >&2; }
known() { apt-cache show --no-all-versions "$1" >/dev/null 2>&1; }
installed() {
    case $1 in
    postgresql) ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && return ;; # any release's
    nodejs) command -v node >/dev/null && return ;; # others' packages of Node bring npm along,
    npm) command -v npm >/dev/null && return ;;     # and conflict with Debian's
    esac
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Node's parser where it is packaged; before that, its predecessor.
http_parser() {
    if installed libllhttp-dev || known libllhttp-dev; then echo libllhttp-dev; else echo libhttp-parser-dev; fi
}

# Not every release has it; without it a test says that it is left out.
exporter() {
    if known prometheus-pgbouncer-exporter; then echo prometheus-pgbouncer-exporter; fi
}

# The libraries' own packages have other names in each release; the -dev packages know them.
runtime_libraries() {
    apt-cache depends --important $libraries "$(http_parser)" |
        awk '$1 == "Depends:" && $2 ~ /^lib/ && $2 !~ /-dev$/ { print $2 }' | sort -u
}

packages() {
    case $1 in
    build) echo gcc libc6-dev meson ninja-build pkg-config uthash-dev $libraries "$(http_parser)" ;;
    run) runtime_libraries ;;
    servers) echo postgresql redis-server redis-tools ;;
    test)
        echo libcriterion-dev prometheus python3 python3-pytest python3-psycopg python3-psycopg2 python3-asyncpg
        echo python3-redis
        echo pgbouncer "$(exporter)"
        echo nodejs npm default-jdk-headless libpostgresql-jdbc-java
        ;;
    bench) echo pgbouncer nutcracker strace ;;
    *) say "there is no set '$1'" && exit 2 ;;
    esac
}

missing() {
    for set in "$@"; do
        for package in $(packages "$set"); do
            installed "$package" || echo "$package"
        done
    done
}

# The service of a package installed here must not start; one that was there before may.
forbid_start() {
    policy=/usr/sbin/policy-rc.d
    if [ -e $policy ]; then mv $policy $policy.before-weir; fi
    trap 'allow_start' EXIT
    trap 'exit 130' INT TERM HUP
    printf '#!/bin/sh\ncase " %s " in *" $1 "*) exit 101 ;; esac\n' "$(services "$@" | xargs)" >$policy
    chmod 755 $policy
}

allow_start() {
    rm -f $policy
    if [ -e $policy.before-weir ]; then mv $policy.before-weir $policy; fi
}

services() {
    for package in "$@"; do
        case $package in
        postgresql | prometheus | pgbouncer | prometheus-pgbouncer-exporter | redis-server | nutcracker) echo "$package" ;;
        esac
    done
}

if [ $# -eq 0 ]; then sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 2; fi
if ! command -v dpkg-query >/dev/null; then
    say "not a Debian system: make sure that what the sets '$*' name in $0 is installed"
    exit 0
fi
want=$(missing "$@")
if [ -z "$want" ]; then exit 0; fi
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null; then exec sudo "$0" "$@"; fi
    say "missing: $want. Install them, or run this as root"
    exit 1
fi

export DEBIAN_FRONTEND=noninteractive
apt-get -q update >&2
want=$(missing "$@") # the lists may know other names now
say "installing" $want
forbid_start $want
apt-get -q install -y --no-install-recommends $want >&2
if command -v systemctl >/dev/null; then
    for service in $(services $want); do
        systemctl --quiet disable "$service" 2>/dev/null || true
    done
fi
