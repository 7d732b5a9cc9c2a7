#!/bin/sh
# What answers from another machine, one line each: outside.sh ADDRESS.
get() { printf '%s: ' "$1"; shift; curl -sS --max-time 5 "$@" 2>&1 | sed 's/after [0-9]* /after /' | head -n 1; }
get "the site in default, by the address" "http://$1/"
get "the site by a socket in /tmp" -H 'Host: blog.test' "http://$1/"
get "the service at a port of its own" "http://$1:8025/index.html"
docker_port=$(curl -sS --max-time 3 "http://$1:8090/index.html" 2>/dev/null | head -n 1)
printf 'a published port of a container, where there is one: %s.\n' "$docker_port"
