"""An update replaces a library: what runs gets the new one, and nobody notices."""

from __future__ import annotations

import json

# As dpkg does it: another file by the name of the one that is mapped.
REPLACE = "for file in $(ls /usr/lib/*/libcrypto.so.3); do cp -p $file $file.new && mv $file.new $file; done"
# The programs that still map the deleted file.
OUTDATED = "grep -l 'libcrypto.*(deleted)' /proc/[0-9]*/maps 2>/dev/null | cut -d/ -f3 | xargs -r ps -o args= -p"
NGINX = "cat /run/nginx.pid"


def report(site) -> dict:
    """Return what the machine says of its last look."""
    return json.loads(site.shell("cat /var/lib/slipway/updates.json"))


def test_an_update_reaches_what_runs_without_a_lost_request(site, load):
    live, version, front, nginx = site.live, site.history[-1]["version"], site.front()["pid"], site.shell(NGINX)
    steady = load()
    site.shell(REPLACE)
    assert "gunicorn" in site.shell(OUTDATED) and "nginx" in site.shell(OUTDATED)
    # As apt does it after each run: the look comes by itself.
    site.shell("sed -i s/2min/3s/ /etc/systemd/system/slipway-updates.timer && systemctl daemon-reload")
    site.shell("rm -f /var/lib/slipway/updates.json")
    site.shell("apt-config dump --format '%v%n' DPkg::Post-Invoke | grep slipway-updates | sh")
    site.shell("for n in $(seq 600); do sleep 0.2; [ -e /var/lib/slipway/updates.json ] && break; done")
    said = report(site)
    assert {"shop", "nginx.service", "ssh.service"} <= set(said["restarted"]), said
    # Another process of the same release, of the same version.
    assert site.live != live and site.front()["pid"] != front and site.history[-1]["version"] == version
    assert site.history[-1]["why"] == "an update replaced files that it ran"
    assert site.shell(NGINX) != nginx and site.shell("systemctl is-active nginx ssh").split() == ["active"] * 2
    # PostgreSQL's connections are not cut by itself: who logs in reads it.
    assert any("postgresql@" in unit for unit in said["left"]), said
    assert "base_restart_time" in site.shell("cat /run/motd.d/10-slipway-updates")
    assert "gunicorn" not in site.shell(OUTDATED)
    # The old nginx ends when the last of its answers is given.
    site.shell(f"for n in $(seq 300); do {OUTDATED} | grep -q nginx: || break; sleep 0.2; done")
    assert "nginx:" not in site.shell(OUTDATED)
    site.settled()
    assert steady.failures == []


def test_a_person_restarts_the_rest(site):
    said = site.run("apply-updates", everything=True)
    assert "restarted: postgresql@" in said
    assert site.shell("ls /run/motd.d/10-slipway-updates", check=False) == ""
    # A connection to sshd may still be under way.
    assert all("ssh" in line for line in site.shell(OUTDATED).splitlines())
    assert "nothing runs replaced files" in site.run("apply-updates")
    assert "changed=0" in site.run("deploy").splitlines()[-2]
