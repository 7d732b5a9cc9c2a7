#!/bin/bash
# Upgrade PostgreSQL's cluster of Debian 12 to the one of Debian 13: upgrade-cluster.sh OLD NEW. The old one stays, stopped, on
# another port. What a killed run has left half is made again from the old one, which is whole until it is told so.
set -euo pipefail
old=$1 new=$2
export LC_ALL=C.UTF-8

die() { echo "upgrade: $*" >&2; exit 1; }

[ -d "/etc/postgresql/$old/main" ] || { echo "no cluster of PostgreSQL $old"; exit 0; }
# pg_upgradecluster says so in the end, when the new one has everything.
if [ -d "/etc/postgresql/$new/main" ] && ! grep -qx auto "/etc/postgresql/$old/main/start.conf"; then
    pg_ctlcluster "$new" main start 2>/dev/null || [ $? = 2 ]
    echo "PostgreSQL $new has it already"
    exit 0
fi
data=$(du -sm "/var/lib/postgresql/$old/main" | cut -f1)
free=$(df --output=avail -m /var/lib/postgresql | tail -1 | tr -d ' ')
[ "$free" -ge $((data + 512)) ] || die "$free MiB are free in /var/lib/postgresql, and a second copy needs $((data + 512)). Nothing was changed."
if [ -d "/etc/postgresql/$new/main" ]; then
    pg_dropcluster --stop "$new" main
    pg_ctlcluster "$old" main start 2>/dev/null || [ $? = 2 ]
fi
pg_upgradecluster -v "$new" -m upgrade "$old" main
echo upgraded
