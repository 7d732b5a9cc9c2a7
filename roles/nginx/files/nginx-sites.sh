#!/bin/sh
# Before nginx starts: a site of this toolkit that nginx refuses is left out, and all others are served; it comes back by
# itself when nginx takes it. What is somebody else's is never moved. Without a word before a start, "again" afterwards.
set -u
enabled=/etc/nginx/sites-enabled refused=/var/lib/slipway/refused-sites
retry=slipway-nginx-sites
valid() { nginx -t -q 2>/dev/null; }
ours() { grep -qsF '$slipway_' "$1"; }
say() { echo "<3>$*" >&2; }

# Moves what was left out before to where it was. One that Ansible has written again meanwhile is not needed any more.
put_back() {
    for site in "$refused"/*; do
        [ -e "$site" ] || [ -L "$site" ] || continue
        if [ -e "$enabled/${site##*/}" ]; then rm -f "$site"; else mv "$site" "$enabled/"; fi
    done
}

# Leaves out, one after the other, those of ours that nginx refuses beside all that is somebody else's.
leave_out() {
    whole=$(mktemp /etc/nginx/.slipway-XXXXXX) || return
    trap 'rm -f "$whole"' EXIT
    kept=
    for site in "$enabled"/*; do
        [ ! -e "$site" ] || ours "$site" || kept="$kept include $site;"
    done
    check "$kept" 2>/dev/null || return  # no fault of ours
    for site in "$enabled"/*; do
        { [ -e "$site" ] || [ -L "$site" ]; } || continue
        [ ! -e "$site" ] || ours "$site" || continue
        if said=$(check "$kept include $site;" 2>&1); then
            kept="$kept include $site;"
        else
            mkdir -p "$refused"
            mv -f "$site" "$refused/"
            say "The site ${site##*/} is left out and waits in $refused, because nginx refuses it: $said"
        fi
    done
}

check() {
    sed -E "s#include +(/etc/nginx/)?sites-enabled/[^;]*;#$1#" /etc/nginx/nginx.conf >"$whole" && nginx -t -q -c "$whole"
}

# A name that cannot be looked up at boot can be a moment later.
try_later() {
    [ -z "$(systemctl list-units --quiet --plain --no-legend "$retry-*.timer")" ] || return
    systemd-run --quiet --collect --unit="$retry-$(date +%s)" --on-active="${1}s" "$0" again "$1"
}

before=$(ls "$refused" 2>/dev/null)
put_back
valid || leave_out
after=$(ls "$refused" 2>/dev/null)
if [ "${1:-}" = again ]; then
    if ! systemctl --quiet is-active nginx.service; then
        # Its start comes by here, and tries again later itself.
        valid && systemctl reset-failed nginx.service && systemctl --no-block start nginx.service && exit
    elif [ "$before" != "$after" ] && valid; then
        systemctl reload nginx.service
    fi
fi
if [ -n "$after" ] || ! valid; then
    wait=$((${2:-2} * 2))
    try_later $((wait < 300 ? wait : 300))
fi
exit 0
