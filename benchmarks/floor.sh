#!/usr/bin/env bash
# The least that serves the sample app from a bare Debian machine: what one types on a rainy evening. It is the measure of
# `make bench` and nothing else: no firewall, no TLS, no sandbox, no hash is looked at, and nobody can go back.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends nginx postgresql python3-venv >/dev/null
python3 -m venv /opt/app/venv
/opt/app/venv/bin/pip install --quiet --no-deps -r /opt/app/src/requirements.txt
runuser -u postgres -- createuser www-data
runuser -u postgres -- createdb -O www-data app

cat >/etc/systemd/system/app.service <<'END'
[Service]
User=www-data
WorkingDirectory=/opt/app/src
Environment=FLASK_CONFIG=production FLASK_APP=wsgi:app SECRET_KEY=naive
Environment=DATABASE_URL=postgresql+psycopg://www-data@/app?host=/run/postgresql
Environment=SQLALCHEMY_DATABASE_URI=postgresql+psycopg://www-data@/app?host=/run/postgresql
ExecStartPre=/opt/app/venv/bin/flask db upgrade
ExecStart=/opt/app/venv/bin/gunicorn --workers 3 --threads 4 --bind 127.0.0.1:8000 wsgi:app
[Install]
WantedBy=multi-user.target
END
cat >/etc/nginx/sites-enabled/default <<'END'
server {
    listen 80 default_server;
    location /static/ { alias /opt/app/src/guestbook/static/; }
    location / { proxy_pass http://127.0.0.1:8000; proxy_set_header Host $host; }
}
END
systemctl daemon-reload
systemctl enable --quiet --now app
systemctl restart nginx
for _ in $(seq 100); do
    python3 -c 'import urllib.request; urllib.request.urlopen("http://127.0.0.1/readyz")' 2>/dev/null && exit 0
    sleep 0.1
done
echo "floor.sh: the app does not answer" >&2
exit 1
