"""Releases under load: nothing is lost, and a failure leaves the old release serving.

The tests build on one another, in the order of the file.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from load import Load, ask

# How many kills of each kind are tried: a few here, as many as one likes by hand.
KILLS = int(os.environ.get("SLIPWAY_KILLS", "2"))
STEPS = [
    "switch",
    "migrate",
    "unpack",
    "check",
    "start",
    "health",
    "start worker",
    "watch",
    "retire",
    "preflight",
    "tidy",
]


def change(source: Path, text: str) -> None:
    """Change the app's code."""
    (source / "changed.txt").write_text(text)


def migration(source: Path, revision: str, upgrade: str, downgrade: str = "pass") -> None:
    """Add a migration after the last one."""
    (source / f"migrations/versions/{revision}.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n\n"
        f"revision = '{revision}'\ndown_revision = '{int(revision) - 1:04}'\n\n\n"
        f"def upgrade():\n    {upgrade}\n\n\ndef downgrade():\n    {downgrade}\n"
    )


def test_a_deploy_loses_nothing(site, load):
    before = site.live
    load()
    change(site.source, "one")
    site.run("deploy")
    assert site.live != before
    assert site.front()["release"] == site.live
    assert site.history[-1]["changes"] == ["code"]
    site.settled()


def test_the_same_again_changes_nothing(site):
    before = site.history
    assert "changed=0" in site.run("deploy").splitlines()[-2]
    assert site.history == before


def failed(site, said: str, before: str, steps: str, reason: str) -> None:
    """See that a failure was told, that it is in the history, and that the release of before serves, and only it."""
    assert re.search(rf"Step: ({steps})\.", said) and reason in said, said[-3000:]
    assert f"The release {before} goes on serving" in said
    assert site.live == before and site.front()["release"] == before
    last = site.history[-1]
    assert last["result"] == "failed" and re.match(f"({steps}): ", last["why"])
    site.settled()
    assert site.shell("cat /srv/shop/shared/worker.beat") == before


@pytest.mark.parametrize(
    ("broken", "steps", "reason"),
    [
        ("import", "check imports", "RuntimeError: the shop is closed"),
        ("migration", "migrate", "did not succeed"),
        ("health", "health", "the last answer was: 503 ill"),
        # Which of the two it is depends on how soon the worker ends.
        ("worker", "start worker|watch", "the worker is on strike"),
    ],
)
def test_a_failed_deploy_leaves_the_old_release_serving(site, load, broken, steps, reason):
    before = site.live
    load()
    said = site.run("deploy", 2, app_environment={"BROKEN": broken}, app_health_timeout_seconds=8)
    failed(site, said, before, steps, reason)


def test_a_release_that_answers_by_errors_is_switched_back_from(site):
    before = site.live
    with Load(site.address) as load:
        said = site.run("deploy", 2, app_environment={"BROKEN": "traffic"}, app_watch_seconds=60)
        told = len(load.failures)
        time.sleep(3)
    # Its own errors reached visitors until it was switched back from, and nothing else went wrong.
    assert all("out of order" in failure for failure in load.failures) and len(load.failures) == told > 0
    failed(site, said, before, "watch", "requests since the switch were answered 5xx")
    assert "for example GET / HTTP/1.1 was answered 500" in said


def test_settings_change_without_a_deploy_and_stay(site, load):
    load()
    change(site.source, "not to be deployed yet")
    site.run("set-config", app_environment={"MARK": 'a "b" $c'})
    assert site.front()["mark"] == 'a "b" $c'
    assert (site.history[-1]["what"], site.history[-1]["changes"]) == ("set-config", ["settings"])
    assert "changed=0" in site.run("set-config", app_environment={"MARK": 'a "b" $c'}).splitlines()[-2]
    change(site.source, "one")
    assert "changed=0" in site.run("deploy").splitlines()[-2]
    site.run("set-config", app_environment={"MARK": None})
    assert site.front()["mark"] == ""
    site.settled()


def test_a_restart_is_another_process_of_the_same_release(site, load):
    before, old = site.front()["pid"], site.history[-1]["version"]
    load()
    site.run("restart")
    assert site.front()["pid"] != before
    assert site.history[-1]["version"] == old
    site.settled()
    assert "changed=0" in site.run("deploy").splitlines()[-2]


def test_a_roll_back_goes_to_what_served_before_and_to_a_named_version(site, load):
    first, load_ = site.history[-1], load()
    change(site.source, "two")
    site.run("deploy")
    second = site.history[-1]
    site.run("roll-back")
    assert site.live == first["id"]
    site.run("roll-back", release=second["version"])
    assert site.live == second["id"]
    site.settled()
    assert "There is no release v999" in site.run("roll-back", 2, release="v999")
    assert load_.failures == []


def test_a_warm_roll_back(site, load):
    load()
    change(site.source, "three")
    site.run("deploy", app_keep_warm=True)
    site.idle()
    warm = site.history[-2]["id"]
    assert f"shop-web@{warm}.service" in site.units()
    assert "changed=0" in site.run("deploy", app_keep_warm=True).splitlines()[-2]
    begun = site.shell(f"systemctl show --property=MainPID --value shop-web@{warm}.service")
    site.run("roll-back", app_keep_warm=True)
    assert site.live == warm
    assert site.shell(f"systemctl show --property=MainPID --value shop-web@{warm}.service") == begun
    site.idle()
    site.run("deploy")
    site.settled()


def test_scale(site, load):
    load()
    site.run("scale", app_scale={"web": 3, "worker": 2})
    live = site.live
    main = site.shell(f"systemctl show --property=MainPID --value shop-web@{live}.service")
    assert site.shell(f"pgrep --parent {main} | wc -l") == "3"
    site.idle()
    assert f"shop-worker.2@{live}.service" in site.units()
    assert "changed=0" in site.run("deploy").splitlines()[-2]
    assert "has no process wroker" in site.run("scale", 2, app_scale={"wroker": 2})
    site.run("scale", app_scale={"web": None, "worker": None})
    site.settled()


def test_a_process_runs_by_the_clock_in_the_live_release_and_never_twice_at_once(site):
    command = "sh -c 'echo $SLIPWAY_RELEASE >>/srv/shop/shared/ticks; sleep 3'"
    ticking = {"app_scheduled": {"tick": {"schedule": "* * * * *", "command": command}}}
    start, ticks = "systemctl start --no-block shop-at.tick.service", "cat /srv/shop/shared/ticks"
    site.run("deploy", **ticking)
    first, deadline = site.live, time.monotonic() + 90
    while not site.shell(ticks, check=False) and time.monotonic() < deadline:
        time.sleep(0.2)
    site.shell(f"{start}; {start}")  # while it runs
    assert site.shell(ticks).split() == [first]
    site.shell("systemctl stop shop-at.tick.timer; while systemctl is-active shop-at.tick.service; do sleep 0.2; done")
    change(site.source, "by the clock")
    site.run("deploy", **ticking)
    site.shell("systemctl stop shop-at.tick.timer")
    site.shell(f"rm /srv/shop/shared/ticks; {start.replace('--no-block', '')}")
    assert site.shell(ticks).split() == [site.live] != [first]
    site.run("deploy")
    assert site.shell("ls /etc/systemd/system | grep shop-at", check=False) == ""
    site.settled()


def test_a_switch_at_overload_loses_nothing(site, load):
    # More slow requests than there are threads: the backlog is not empty when it is switched.
    main = site.shell(f"systemctl show --property=MainPID --value shop-web@{site.live}.service")
    threads = 4 * int(site.shell(f"pgrep --parent {main} | wc -l"))
    load(rate=threads / 2 + 60)
    with ThreadPoolExecutor() as pool:
        # Old connections, on which the old release goes on answering after the switch.
        held = [pool.submit(ask, site.address, "GET", "/slow?seconds=20") for _ in range(3)]
        old = site.live
        time.sleep(1)
        change(site.source, "four")
        site.run("deploy")
        assert [json.loads(each.result()[1])["release"] for each in held] == [old] * 3
    site.settled()


def test_a_stranger_who_knows_what_fails_takes_no_deploy_back(site, load):
    before, steady = site.live, load()
    site.shell("mkdir -p /tmp/stranger")
    # From another address than everybody else's, all the time: two kinds of requests that fail on any release.
    curl = "curl --silent --insecure --output /dev/null --resolve shop.example:443:127.0.0.1 https://shop.example"
    failing = f"{curl}/slow?seconds=x$n; {curl}/orders/$(printf %060d $n) --request POST"
    site.shell(f"(n=0; while [ -e /tmp/stranger ]; do n=$((n+1)); {failing}; sleep 0.1; done) >/dev/null 2>&1 &")
    change(site.source, "a stranger is here")
    try:
        site.run("deploy", app_watch_seconds=10)
    finally:
        site.shell("rmdir /tmp/stranger")
    assert site.live != before
    log = site.shell("cat /var/log/nginx/shop-access.log")
    assert steady.failures == [] and log.count(" 500 ") > 20
    site.settled()


def test_pages_of_old_releases_find_their_hashed_files(site):
    old = "/static/style.0a1b2c3d.css"
    (site.source / "static/style.0a1b2c3d.css").rename(site.source / "static/style.9f8e7d6c.css")
    site.run("deploy")
    for path in (old, "/static/style.9f8e7d6c.css"):
        assert ask(site.address, "GET", path)[0] == 200
    site.settled()


def test_a_second_operation_is_refused_and_told_who_is_at_work(site):
    first = site.begin("deploy", app_migrate_command="sleep 15")
    site.comes_to("migrate")
    refused = site.run("roll-back", 2)
    assert "is at work on shop since" in refused and "step migrate" in refused
    assert first.communicate() and first.returncode == 0
    site.run("deploy")


def test_a_migration_that_only_adds_goes_through(site, load):
    load()
    migration(site.source, "0002", "op.add_column('orders', sa.Column('note', sa.Text))")
    # As one types it, a number is text; and what is said not to be so is not so.
    site.run("deploy", words=("-e", "app_watch_seconds=1", "-e", "app_keep_warm=false"))
    assert site.history[-1]["schema"] == ["0002"]
    live = site.live
    assert f"Finished shop-release@{live}.service" in site.shell(f"cat /srv/shop/log/migrate-{live}.log")
    assert f"restore point shop-{live} at" in site.shell("journalctl --unit=shop-deploy.service --output=cat -n 200")


def test_a_migration_that_takes_away_needs_a_yes_and_bars_the_way_back(site, load):
    load()
    before = site.live
    migration(site.source, "0003", "op.drop_column('orders', 'note')")
    failed(site, site.run("deploy", 2), before, "migrate", "drops the column orders.note")
    site.run("deploy", app_migration_approved="0003")
    live = site.live
    refused = site.run("roll-back", 2)
    assert "Step: schema." in refused and "drops the column orders.note" in refused
    assert site.live == live
    site.run("roll-back", app_schema_confirmed=True)
    assert site.live == before
    site.run("deploy")
    site.settled()


def test_a_full_disk_leaves_the_old_release_serving(site, load):
    before = site.live
    load()
    requirements = site.source / "requirements.txt"
    text = requirements.read_text()
    # Other dependencies are unpacked beside those of the live release, and there is no room for them.
    requirements.write_text(text + "humanize==4.12.3\n")
    site.shell("mount -t tmpfs -o size=512k none /srv/shop/cache")
    try:
        failed(site, site.run("deploy", 2), before, "unpack", "No space left on device")
    finally:
        site.shell("umount /srv/shop/cache")
        requirements.write_text(text)
    site.shell("mount -t tmpfs -o size=4k none /srv/shop/incoming")
    try:
        change(site.source, os.urandom(8192).hex())
        said = site.run("deploy", 2)
    finally:
        site.shell("umount /srv/shop/incoming")
    assert "No space left on device" in said
    assert site.live == before
    site.settled()


def test_a_full_disk_of_the_database_fails_the_migration(site, load):
    before = site.live
    load()
    small = "/var/lib/postgresql/small"
    # In a container the sandbox of a service does not see what is mounted after its start.
    inside = "nsenter --mount --target $(head -n 1 /var/lib/postgresql/*/main/postmaster.pid)"
    site.shell(f"mkdir {small} && {inside} sh -c 'mount -t tmpfs -o size=1m none {small} && chown postgres: {small}'")
    psql = "runuser -u postgres -- psql --quiet --command"
    site.shell(f"""{psql} "CREATE TABLESPACE small LOCATION '{small}'" """)
    site.shell(f"{psql} 'GRANT CREATE ON TABLESPACE small TO shop'")
    large = "CREATE TABLE large TABLESPACE small AS SELECT generate_series(1, 1000000) AS number"
    migration(site.source, "0004", f"op.execute('{large}')")
    try:
        failed(site, site.run("deploy", 2), before, "migrate", "No space left on device")
    finally:
        (site.source / "migrations/versions/0004.py").unlink()
        site.shell(f"{psql} 'DROP TABLESPACE small' && {inside} umount {small} && rmdir {small}")


@pytest.mark.skipif(subprocess.run(["unshare", "--mount", "true"]).returncode != 0, reason="may not mount")
def test_a_full_disk_of_the_control_node_touches_no_machine(site, tmp_path):
    before = site.history
    change(site.source, os.urandom(65536).hex())
    full = ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs -o size=16k none {tmp_path} && exec "$@"', "sh"]
    said = site.run("deploy", 2, under=full, app_cache_directory=str(tmp_path))
    assert "No space left on device" in said
    assert site.history == before
    change(site.source, "five")
    site.settled()


def test_a_database_that_is_down_is_refused_before_anything_is_made(site):
    before = site.live
    change(site.source, "five")
    site.shell("systemctl stop 'postgresql@*'")
    try:
        said = site.run("deploy", 2)
    finally:
        site.shell("systemctl start --all 'postgresql@*'")
    failed(site, said, before, "preflight: database", "nobody answers at /run/postgresql/.s.PGSQL.5432")


@pytest.mark.parametrize("kill", ["machine", "control"])
@pytest.mark.parametrize("moment", range(KILLS))
def test_a_kill_at_any_moment_stops_no_traffic_and_the_next_run_converges(site, load, kill, moment):
    steady = load(rate=10)
    change(site.source, str(uuid.uuid4()))
    process = site.begin("deploy", app_watch_seconds=2)
    site.comes_to(STEPS[moment % len(STEPS)], 0.1 * (moment // len(STEPS)), kill == "machine")
    if kill == "control":
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    site.idle()
    site.run("deploy", app_watch_seconds=2)
    assert site.history[-1]["result"] == "live"
    assert steady.failures == []
    site.settled()


def test_the_app_may_write_to_its_own_directories_alone(site):
    # As the app's user outside of its sandbox, which allows less.
    asked = "find / -xdev -writable ! -type l ! -path '/proc/*' ! -path '/dev/*'"
    writable = site.shell(f"runuser -u shop -- {asked} 2>/dev/null", check=False).splitlines()
    allowed = ("/srv/shop/shared", "/tmp", "/var/tmp", "/run/lock", "/run/screen", "/run/postgresql/.s.PGSQL")
    assert [path for path in writable if not path.startswith(allowed)] == []


def test_another_app_on_the_machine_comes_fails_and_goes_without_touching_this_one(site, load):
    other = site.beside("shop-web")  # a name that begins alike
    before, history, files = site.live, site.history, site.shell("ls /etc/systemd/system | grep ^shop-[^w]")
    load(rate=10)
    # Where PostgreSQL is there already, and the app's database is not.
    assert "failed=0" in other.run("../site", words=("--check",))
    other.run("../site")
    other.run("deploy", 2, app_environment={"BROKEN": "health"}, app_health_timeout_seconds=5)
    other.run("roll-back", 2)
    assert "This would take shop-web off" in other.run("remove", 2)
    with ThreadPoolExecutor() as pool:
        # What is restarted still answers this when the removal begins, which waits for it.
        slow = pool.submit(ask, site.address, "GET", "/slow?seconds=12", domain="shop-web.example")
        time.sleep(1)
        other.run("restart")
        other.run("remove", confirm="shop-web")
        assert slow.result()[0] == 200
    assert other.shell("ls -d /srv/shop-web /run/slipway/shop-web /etc/nginx/*/shop-web*", check=False) == ""
    assert other.shell("ls -d /etc/systemd/system/shop-web-* /var/log/nginx/shop-web*", check=False) == ""
    assert (
        other.shell("getent passwd shop-web; systemctl list-units --all --plain --no-legend 'shop-web-*'", False) == ""
    )
    asked = "SELECT datname FROM pg_database UNION ALL SELECT rolname FROM pg_roles"
    assert "shop-web" not in other.shell(f"runuser -u postgres -- psql -Atc '{asked}'")
    assert "orders" in other.shell("pg_restore --list $(ls -t /var/backups/slipway/shop-web-*.dump | head -n 1)")
    assert (site.live, site.history) == (before, history)
    assert site.shell("ls /etc/systemd/system | grep ^shop-[^w]") == files
    site.settled()


def test_a_reboot_comes_back_with_the_live_release(site):
    before = site.live
    site.restart()
    site.comes_back()
    assert site.front()["release"] == before
    assert "changed=0" in site.run("deploy").splitlines()[-2]
    site.settled()
