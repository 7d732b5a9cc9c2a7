#!/bin/sh
# Before nginx starts: a site that it refuses is left out, and all others are served. Ansible's next run brings it back.
# All else that nginx refuses is left to nginx itself to say.
set -u
refused=/var/lib/slipway/refused-sites
nginx -t -q 2>/dev/null && exit 0

whole=$(mktemp)
trap 'rm -f "$whole"' EXIT
# Without any site: what is wrong with the rest is no site's fault.
sed 's|include /etc/nginx/sites-enabled/\*;||' /etc/nginx/nginx.conf >"$whole"
nginx -t -q -c "$whole" 2>/dev/null || exit 0
kept=
for site in /etc/nginx/sites-enabled/*; do
    sed "s|include /etc/nginx/sites-enabled/\*;|$kept include $site;|" /etc/nginx/nginx.conf >"$whole"
    if said=$(nginx -t -q -c "$whole" 2>&1); then
        kept="$kept include $site;"
    else
        mkdir -p "$refused"
        mv -f "$site" "$refused/"
        echo "<3>The site ${site##*/} is left out and moved to $refused, because nginx refuses it: $said" >&2
    fi
done
