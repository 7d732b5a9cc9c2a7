#!/bin/sh
# Make of a bare machine one that serves things already, as an operator would have made it: existing.sh
# POSTGRESQL-VERSION services|containers.
set -eu
version=$1 kind=$2
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install --no-install-recommends -o Dpkg::Options::=--force-unsafe-io \
    nginx "postgresql-$version" nftables iproute2 curl python3-psycopg2 >/dev/null

# nginx: the site in "default", as tutorials have it; another one that needs what is in nginx.conf, by a socket in /tmp, with a
# log of its own somewhere.
mkdir -p /var/www/shop /var/local/blog
echo "EXISTING SHOP" >/var/www/shop/index.html
cat >/etc/nginx/sites-available/default <<'END'
server { listen 80 default_server; server_name shop.test; root /var/www/shop; index index.html; }
END
sed -i 's|^\s*include /etc/nginx/conf.d|    log_format main "$remote_addr $request $status"; limit_req_zone $binary_remote_addr zone=api:1m rate=100r/s;\n    upstream old { server unix:/tmp/old.sock; }\n    include /etc/nginx/conf.d|' /etc/nginx/nginx.conf
cat >/etc/nginx/sites-available/blog <<'END'
server {
    listen 80;
    server_name blog.test;
    access_log /var/local/blog/access.log main;
    location / { limit_req zone=api burst=50; proxy_pass http://old; }
}
END
ln -sf ../sites-available/blog /etc/nginx/sites-enabled/blog
cat >/usr/local/bin/blog <<'END'
#!/usr/bin/python3
import http.server, os, socketserver


class Blog(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"EXISTING BLOG\n")

    def address_string(self):
        return "nginx"


if os.path.exists("/tmp/old.sock"):
    os.unlink("/tmp/old.sock")
server = socketserver.UnixStreamServer("/tmp/old.sock", Blog)
os.chmod("/tmp/old.sock", 0o777)
server.serve_forever()
END
chmod +x /usr/local/bin/blog
printf '[Service]\nExecStart=/usr/local/bin/blog\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/blog.service
printf '[Service]\nExecStart=/usr/bin/python3 -m http.server 8025 --directory /var/www/shop\n[Install]\nWantedBy=multi-user.target\n' \
    >/etc/systemd/system/svc8025.service

# PostgreSQL: a database over TCP with a password, 300 connections and a rule of one's own; or all that in a cluster that is not
# called as Debian's own, at the port of that.
cluster=main
if [ "$kind" = containers ]; then
    cluster=theirs
    pg_dropcluster --stop "$version" main
    pg_createcluster "$version" $cluster --port 5432 --start >/dev/null
fi
su postgres -c "psql -qc \"CREATE ROLE shop LOGIN PASSWORD 'shop'\" -c 'CREATE DATABASE shop OWNER shop'"
sed -i 's/^max_connections = .*/max_connections = 300/' "/etc/postgresql/$version/$cluster/postgresql.conf"
echo 'host shop shop 10.0.0.0/8 scram-sha-256 # the office' >>"/etc/postgresql/$version/$cluster/pg_hba.conf"

if [ "$kind" = services ]; then
    # Rules of one's own, with a port and an address translation, which flush all others.
    cat >/etc/nftables.conf <<'END'
#!/usr/sbin/nft -f
flush ruleset
table inet filter {
    chain input {
        type filter hook input priority 0; policy drop;
        ct state established,related accept
        iif lo accept
        icmp type echo-request accept
        tcp dport { 22, 80, 443, 8025 } accept
    }
}
table ip nat {
    chain post {
        type nat hook postrouting priority 100;
        oifname "eth0" ip saddr 10.9.0.0/24 masquerade
    }
}
END
    systemctl enable -q nftables
    systemctl restart nftables
else
    printf '[Unit]\nAfter=nftables.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/root/containers.sh\n[Install]\nWantedBy=multi-user.target\n' \
        >/etc/systemd/system/containers.service
    systemctl daemon-reload
    systemctl enable -q --now containers
fi

# An account of a service, and a person.
useradd --system --shell /usr/sbin/nologin feeds
useradd -m -s /bin/bash alice
echo 'alice:alice-s-own' | chpasswd
echo "a diary" >/home/alice/diary
chown alice: /home/alice/diary

systemctl daemon-reload
systemctl enable -q --now blog svc8025 nginx
systemctl restart "postgresql@$version-$cluster"
nginx -t -q
systemctl restart nginx
