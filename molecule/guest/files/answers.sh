#!/bin/sh
# What answered before site.yml, one line each, as seen from the machine itself: answers.sh
# POSTGRESQL-VERSION services|containers.
cd /
version=$1 kind=$2 cluster=main
[ "$kind" = services ] || cluster=theirs
get() { printf '%s: ' "$1"; shift; curl -sS --max-time 5 "$@" 2>&1 | head -n 1; }
get "the site in default, by its name" -H 'Host: shop.test' http://127.0.0.1/
get "the site in default, by no name of its own" -H 'Host: 192.0.2.1' http://127.0.0.1/
get "the site by a socket in /tmp" -H 'Host: blog.test' http://127.0.0.1/
get "the service at a port of its own" http://127.0.0.1:8025/index.html
printf 'the database over TCP: '
PGPASSWORD=shop psql -h 127.0.0.1 -U shop -XAtc 'SELECT current_database()' shop 2>&1
printf 'its connections: '
runuser -u postgres -- psql -XAtc 'SHOW max_connections' postgres 2>&1
printf 'its rule for the office: '
grep -c 'the office' "/etc/postgresql/$version/$cluster/pg_hba.conf"
if [ "$kind" = services ]; then
    printf 'the translation of addresses: '
    nft list table ip nat 2>&1 | grep -c masquerade
    printf 'the rules of the operator: '
    nft list chain inet filter input 2>&1 | grep -c 8025
else
    # The other container asks as Docker has it: by the bridge, and its host by the bridge's address.
    get "a container's published port, from the machine" http://172.30.99.1:8090/index.html
    printf 'a container that asks its host: '
    ip netns exec container curl -sS --max-time 5 http://172.30.99.1:8025/index.html 2>&1
    printf 'the rules of Docker: '
    nft list ruleset 2>&1 | grep -c 'dnat to 172.30.99.2'
fi
printf 'the person: '
getent passwd alice | cut -d: -f 6,7
printf 'the log of the site: '
tail -n 1 /var/local/blog/access.log | cut -d' ' -f 2-
