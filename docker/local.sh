#!/bin/bash
# docker/local.sh          - PostgreSQL and Redis of its own in a temporary folder, and weir before them, until Ctrl-C
# docker/local.sh --check  - the same, but asks them a few things and ends: 0 when all was answered well
#
# Installs what is missing (Debian 12 and 13) and builds a release in build-release/.
# WEIR=program starts that program instead and builds nothing.
set -euo pipefail

source=$(cd "$(dirname "$0")/.." && pwd)
case ${1-} in
'') ;;
--check) check=yes ;;
*) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac

say() { echo "local: $*" >&2; }
fail() { say "$*"; exit 1; }

"$source/docker/install.sh" build run servers
if [ -z "${WEIR-}" ]; then
    WEIR=$source/build-release/proxy/weir
    "$source/docker/build.sh" "$source/build-release" >&2
fi

# Another PostgreSQL on PATH may be incomplete: the newest of Debian's is taken.
bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -1)
folder=$(mktemp -d "${TMPDIR:-/tmp}/weir.XXXXXX")
weir_pid=
redis_pid=
chmod 755 "$folder"

# PostgreSQL refuses to run as root.
as_server() {
    if [ "$(id -u)" = 0 ]; then
        (cd / && setpriv --reuid=postgres --regid=postgres --init-groups "$@")
    else
        "$@"
    fi
}

clean_up() {
    status=$?
    trap '' INT TERM HUP
    for pid in $weir_pid $redis_pid; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    if [ -e "$folder/data/postmaster.pid" ]; then
        as_server "$bin/pg_ctl" -D "$folder/data" -m immediate -s stop || true
    fi
    rm -rf "$folder"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 0' INT TERM HUP

taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The port that everybody expects, or the next one that is free.
free_port() {
    port=$1
    while taken "$port"; do port=$((port + 1)); done
    echo "$port"
}

start_postgres() {
    install -d -m 700 "$folder/data"
    (umask 077 && echo "$password" >"$folder/password")
    if [ "$(id -u)" = 0 ]; then chown postgres: "$folder" "$folder/data" "$folder/password"; fi
    as_server "$bin/initdb" -D "$folder/data" -U app --pwfile="$folder/password" --auth=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8 --no-sync >"$folder/initdb.log" || { cat "$folder/initdb.log" >&2; exit 1; }
    as_server "$bin/pg_ctl" -D "$folder/data" -l "$folder/data/log" -s -w -t 60 start \
        -o "-c listen_addresses= -c unix_socket_directories=$folder -c fsync=off" || { cat "$folder/data/log" >&2; exit 1; }
    PGPASSWORD=$password "$bin/createdb" -h "$folder" -U app app
}

start_redis() {
    (umask 077 && cat >"$folder/redis.conf") <<-END
	port 0
	unixsocket $folder/redis.sock
	requirepass $password
	dir $folder
	save ""
	END
    redis-server "$folder/redis.conf" >"$folder/redis.log" 2>&1 &
    redis_pid=$!
    for ((attempt = 0; attempt < 200; attempt++)); do
        if REDISCLI_AUTH=$password redis-cli -s "$folder/redis.sock" ping >/dev/null 2>&1; then return; fi
        kill -0 "$redis_pid" 2>/dev/null || break
        sleep 0.05
    done
    cat "$folder/redis.log" >&2
    fail "Redis does not answer"
}

start_weir() {
    cat >"$folder/weir.ini" <<-END
	[databases]
	app = host=$folder
	[weir]
	listen_addr = 127.0.0.1
	listen_port = $port
	unix_socket_dir =
	auth_type = scram-sha-256
	auth_file = $folder/userlist.txt
	pool_mode = transaction
	default_pool_size = 8
	max_client_conn = 1000
	[redis]
	listen_port = $redis
	app = unix://$folder/redis.sock
	[http]
	listen_port = $http
	END
    (umask 077 && echo "\"app\" \"$password\"" >"$folder/userlist.txt")
    "$WEIR" "$folder/weir.ini" 2>"$folder/weir.log" &
    weir_pid=$!
    for ((attempt = 0; attempt < 200; attempt++)); do
        if taken "$port" && taken "$redis"; then return; fi
        kill -0 "$weir_pid" 2>/dev/null || break
        sleep 0.05
    done
    cat "$folder/weir.log" >&2
    fail "weir does not listen"
}

psql() { "$bin/psql" -XAtq "$url" "$@"; }

expect() {
    if [ "$2" != "$3" ]; then
        tail -20 "$folder/weir.log" >&2
        fail "$1: expected '$2', got '$3'"
    fi
    say "$1: ok"
}

check_queries() {
    expect "a query" 42 "$(psql -c 'select 6 * 7' 2>&1)"
    expect "a transaction" 3 "$(psql 2>&1 <<-END
	begin; create table numbers (n int); insert into numbers values (1), (2); commit;
	select sum(n) from numbers;
	END
    )"
    expect "copy in and out" "7 8 9" "$(printf '%s\n' 7 8 9 | psql -c 'copy numbers from stdin' \
        -c 'copy (select n from numbers where n > 2) to stdout' 2>&1 | xargs)"
    expect "an error, and what comes after it" "ERROR: division by zero after" \
        "$(printf 'select 1/0;\nselect $$after$$;\n' | psql 2>&1 | xargs)"
}

check_pgbench() {
    "$bin/pgbench" -i -q "$url" >"$folder/pgbench.log" 2>&1 || { cat "$folder/pgbench.log" >&2; fail "pgbench -i"; }
    for protocol in simple extended; do
        "$bin/pgbench" -n -S -c 8 -T 2 -M $protocol "$url" >"$folder/pgbench.log" 2>&1 ||
            { cat "$folder/pgbench.log" >&2; fail "pgbench -M $protocol"; }
        say "pgbench -S -M $protocol: $(sed -n 's/^tps = \([0-9]*\).*/\1/p' "$folder/pgbench.log") transactions a second"
    done
}

redis_cli() { REDISCLI_AUTH=$password redis-cli -p "$redis" "$@"; }

check_redis() {
    expect "Redis: a wrong password" "WRONGPASS" "$(REDISCLI_AUTH=wrong redis-cli -p "$redis" ping 2>&1 | grep -o WRONGPASS)"
    expect "Redis: SET and GET" "OK 42" "$(printf 'set answer 42\nget answer\n' | redis_cli 2>&1 | xargs)"
    expect "Redis: a transaction" "OK QUEUED 43" "$(printf 'multi\nincr answer\nexec\n' | redis_cli 2>&1 | xargs)"
    redis-benchmark -p "$redis" -a "$password" -t set,get -n 20000 -c 20 -q 2>&1 | tr '\r' '\n' >"$folder/redis-benchmark.log"
    for command in SET GET; do
        line=$(grep "^$command: .* requests per second" "$folder/redis-benchmark.log" | tail -1) ||
            { cat "$folder/redis-benchmark.log" >&2; fail "redis-benchmark -t $command"; }
        say "redis-benchmark: $line"
    done
}

check_http() {
    "$source/docker/fetch.sh" "$http" /healthz >/dev/null || fail "/healthz"
    "$source/docker/fetch.sh" "$http" /metrics >"$folder/metrics" || fail "/metrics"
    if command -v promtool >/dev/null; then
        promtool check metrics <"$folder/metrics" >&2 || fail "promtool finds fault with /metrics"
        say "/healthz, /metrics and promtool: ok"
    else
        say "/healthz and /metrics: ok"
    fi
}

check_end() {
    kill -INT "$weir_pid"
    status=0
    wait "$weir_pid" || status=$?
    weir_pid=
    expect "weir's exit status" 0 $status
}

password=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
start_postgres
start_redis
port=$(free_port 6432)
redis=$(free_port 6380)
http=$(free_port 8080)
url=postgres://app:$password@127.0.0.1:$port/app
start_weir

if [ -n "${check-}" ]; then
    check_queries
    check_pgbench
    check_redis
    check_http
    check_end
    say "all is well"
else
    echo
    echo "PostgreSQL and Redis behind weir, until Ctrl-C:"
    echo
    echo "    psql $url"
    echo "    redis-cli -u redis://:$password@127.0.0.1:$redis"
    echo "    http://127.0.0.1:$http/metrics"
    echo
    wait "$weir_pid" || { cat "$folder/weir.log" >&2; fail "weir ended"; }
fi
