#!/bin/bash
# docker/fetch.sh PORT PATH - prints what 127.0.0.1 answers over HTTP; fails unless that is 200 OK.
# For images without curl: bash alone opens the connection.
set -euo pipefail

exec 3<>"/dev/tcp/127.0.0.1/$1"
printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$2" >&3
answer=$(timeout 5 cat <&3)
if [[ $answer != "HTTP/1."?" 200"* ]]; then
    echo "$2: ${answer%%$'\r'*}" >&2
    exit 1
fi
printf '%s\n' "${answer#*$'\r\n\r\n'}"
