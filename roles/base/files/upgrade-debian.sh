#!/bin/sh
# Upgrade Debian 12 to 13 in place: upgrade-debian.sh check|run. Each step is done again by the next run, whatever killed
# this one; what was changed in a configuration stays. It ends before the reboot.
set -eu
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 LC_ALL=C.UTF-8
keep="-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=600"
wanted_mebibytes=3072

die() { echo "upgrade: $*" >&2; exit 1; }

sources() {  # every file that names where packages come from
    find /etc/apt/sources.list /etc/apt/sources.list.d -type f \( -name '*.list' -o -name '*.sources' \) 2>/dev/null
}

check() {
    . /etc/os-release
    case $VERSION_ID in
        12 | 13) ;;
        *) die "this is $PRETTY_NAME; Debian 12 is upgraded to 13. Nothing was changed." ;;
    esac
    free=$(df --output=avail -m / | tail -1 | tr -d ' ')
    [ "$free" -ge "$wanted_mebibytes" ] || die "$free MiB are free in /, and an upgrade may need $wanted_mebibytes. Nothing was changed."
    held=$(apt-mark showhold | tr '\n' ' ')
    [ -z "$held" ] || die "these packages are held: $held(apt-mark unhold PACKAGE). Nothing was changed."
    broken=$(dpkg --audit)
    [ -z "$broken" ] || [ "$VERSION_ID" = 13 ] || die "dpkg is not done with: $broken. Run site.yml first. Nothing was changed."
    # Another archive may have nothing for Debian 13, or what it has may not go with it.
    foreign=$(sources | xargs -r grep -hE '^(deb|URIs:)' | grep -oE '[a-z]+://[^ ]+' | sort -u \
        | grep -vE '://([a-z0-9.-]*\.)?debian\.org/|/debian(-security)?/?$' | tr '\n' ' ' || true)
    [ -z "$foreign" ] || die "packages come from elsewhere too: $foreign(in /etc/apt). Take these away, or move them to trixie. Nothing was changed."
}

run() {
    # Another one, whose control node was killed, is waited for.
    exec 9>/run/slipway-upgrade.lock
    flock 9
    check
    sources | xargs -r sed -i 's/\bbookworm\b/trixie/g'
    dpkg --configure -a --force-confdef --force-confold
    apt-get -qq $keep update
    apt-get -y -qq $keep --fix-broken install
    apt-get -y -qq $keep upgrade --without-new-pkgs
    apt-get -y -qq $keep full-upgrade
    [ "$(. /etc/os-release && echo "$VERSION_ID")" = 13 ] || die "Debian is not 13 after the upgrade; see /var/log/apt/term.log"
}

case ${1:-} in
    check) check ;;
    run) run ;;
    *) die "check or run?" ;;
esac
