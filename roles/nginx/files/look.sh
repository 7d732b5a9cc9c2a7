#!/bin/sh
# What is there of a site and beside it: look.sh SITE CERTIFICATE-DIRECTORY MAINTENANCE-FLAG. A word and a path on each line.
set -u
site=$1 certificates=$2 flag=$3
# What is enabled is a link to what is available, or a file.
grep -lrE '^[^#]*\blisten\b[^;#]*\bdefault_server\b' /etc/nginx/sites-available /etc/nginx/sites-enabled /etc/nginx/conf.d 2>/dev/null |
    grep -vE "/($site\.conf|default)$" | sed 's/^/default /'
find "$certificates" -maxdepth 1 \( -name 'provided.*' -o -name 'provided-*' \) 2>/dev/null | sed 's/^/provided /'
test ! -e "$flag" || echo "maintenance $flag"
