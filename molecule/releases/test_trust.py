"""What an app, its source or a crash could make of a release: nothing of the machine's, and nothing that is forgotten.

The tests follow those of test_releases, on the same machine, and build on one another.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from load import Load, ask
from test_releases import change, migration


def in_the_sandbox(site, command: str) -> str:
    """Run a command as the app's user where the live web process is, and return what it printed."""
    main = site.shell(f"systemctl show --property=MainPID --value shop-web@{site.live}.service")
    inside = f"nsenter --mount --target {main} -- runuser -u shop -- sh -c {shlex.quote(command)}"
    return site.shell(f"cd / && {inside} 2>/dev/null", check=False)


def test_a_link_out_of_the_app_is_refused_by_name_and_nothing_is_published(site, load):
    before, history = site.live, site.history
    load(rate=10)
    link = site.source / "static/s.txt"
    for target in ("/etc/shadow", "/srv/shop/shared/uploads", "../../../../etc/shadow"):
        link.symlink_to(target)
        said = " ".join(site.run("deploy", 2).split())
        link.unlink()
        assert f"static/s.txt in {site.source} is a link to {target}, which leads out of the app" in said
    assert ask(site.address, "GET", "/static/s.txt")[0] == 404
    assert (site.live, site.history) == (before, history)
    site.settled()


def test_the_app_sees_nothing_of_operations_and_of_other_apps(site):
    site.shell("mkdir -p /srv/other/shared && echo secret >/srv/other/shared/secret && chmod -R a+rX /srv/other")
    seen = in_the_sandbox(
        site, "ls -A /run/slipway; cat /run/slipway/shop/state.json; ls /srv; cat /srv/other/shared/*"
    )
    site.shell("rm -r /srv/other")
    assert seen == "shop"
    # Outside of its sandbox too: whoever can open the lock can hold it.
    assert site.shell("stat -c '%a %U' /run/slipway /run/slipway/shop /run/slipway/shop/lock") == (
        "700 root\n700 root\n600 root"
    )


def test_what_the_app_may_fill_in_memory_is_bounded_and_its_own(site):
    writable = in_the_sandbox(site, "find / -xdev -type d -writable; find /run /dev -type d -writable").split()
    assert set(writable) <= {"/tmp", "/var/tmp", "/run/lock", "/dev/shm", "/dev/mqueue", "/srv/shop/shared"}
    sizes = in_the_sandbox(site, "df --output=size /run/lock /dev/shm").split()[1:]
    total = int(site.shell("sed -n 's/^MemTotal: *\\([0-9]*\\).*/\\1/p' /proc/meminfo"))
    assert int(sizes[0]) <= 16384 and int(sizes[1]) <= total * 0.26
    in_the_sandbox(site, "echo x >/dev/shm/mine; echo x >/run/lock/mine")
    assert site.shell("ls /dev/shm/mine /run/lock/mine", check=False) == ""


def test_an_answer_of_the_check_that_is_too_long_fills_nothing(site):
    before, app = site.live, site.source / "app.py"
    text = app.read_text()
    # Into whatever is open, when the app is loaded for its check and nowhere else: 3 GiB.
    flood = (
        "import contextlib\nfor number in range(16 * 3072 if not os.environ.get('NOTIFY_SOCKET') else 0):\n"
        "    with contextlib.suppress(OSError):\n        os.write(3 + number % 12, b'x' * 65536)\n"
    )
    app.write_text(text.replace("db = SQLAlchemy(app)", f"{flood}db = SQLAlchemy(app)"))
    used = "df --output=used /run | tail -n 1"
    begun = int(site.shell(used))
    said = site.run("deploy", 2)
    app.write_text(text)
    assert "Step: check imports" in said and "it printed more than" in said and site.live == before
    assert int(site.shell(used)) < begun + 20000
    site.settled()


def test_a_process_that_asks_for_more_time_is_ended_at_its_limit(site, load):
    load(rate=10)
    site.run("deploy", app_environment={"BROKEN": "stubborn"})
    assert site.shell("pgrep -f [s]tubborn.py") != ""
    directory, limit = "/etc/systemd/system/shop-web@.service.d", "[Service]\\nTimeoutStopSec=5\\n"
    site.shell(f"mkdir {directory} && printf '{limit}' >{directory}/test.conf && systemctl daemon-reload")
    try:
        site.run("deploy")
        site.idle()
    finally:
        site.shell(f"rm -r {directory} && systemctl daemon-reload")
    assert site.shell("pgrep -f [s]tubborn.py", check=False) == ""
    assert site.shell("ls /srv/shop/shared/stubborn", check=False) == ""
    site.settled()


def test_a_deploy_right_after_a_restart_keeps_what_it_ships(site, load):
    load(rate=10)
    with ThreadPoolExecutor() as pool:
        # What is restarted still answers this while the deploy ships, and is retired in the midst of it.
        slow = pool.submit(ask, site.address, "GET", "/slow?seconds=8")
        site.run("restart")
        change(site.source, str(uuid.uuid4()))
        site.run("deploy")
        assert slow.result()[0] == 200
    site.settled()


def test_a_poisoned_cache_heals_itself(site, load):
    load(rate=10)
    # As a power cut leaves it: names without content. The live release has the same files by other names.
    site.shell(
        "cd /srv/shop/cache/*/venv/lib/python3*/site-packages/flask && for file in *.py; do rm $file; touch $file; done"
    )
    change(site.source, str(uuid.uuid4()))
    site.run("deploy")
    assert site.shell("find /srv/shop/cache/*/venv/lib/python3*/site-packages/flask -name app.py -size +1k") != ""
    site.settled()


def test_a_bad_release_whose_watch_was_killed_is_rolled_back_at_once(site):
    before = site.live
    process = site.begin("deploy", app_environment={"BROKEN": "traffic"}, app_watch_seconds=60)
    site.comes_to("watch", 1, kill=True)
    process.communicate()
    site.idle()
    assert site.front()["release"] == site.live == before
    last = site.history[-1]
    assert (last["result"], last["from"]) == ("failed", before) and "interrupted after the switch" in last["why"]
    site.settled()


@pytest.mark.parametrize("step", ["migrate", "switch", "watch", "retire"])
def test_a_machine_that_dies_in_a_deploy_boots_into_the_right_release(site, step):
    before, versions = site.live, site.source / "migrations/versions"
    number = 1 + max(int(file.name[:4]) for file in versions.glob("[0-9]*.py"))
    if step == "migrate":
        # It takes something away, was approved, and is in the middle of it.
        migration(
            site.source,
            f"{number:04}",
            "op.execute('ALTER TABLE orders DROP COLUMN IF EXISTS note'); __import__('time').sleep(3)",
        )
        approved = {"app_migration_approved": f"{number:04}"}
    else:
        change(site.source, str(uuid.uuid4()))
        approved = {}
    with ThreadPoolExecutor() as pool:
        if step == "retire":
            # The old release is held up by a request, so that there is something to retire.
            pool.submit(ask, site.address, "GET", "/slow?seconds=20")
        process = site.begin("deploy", app_watch_seconds=4, **approved)
        site.comes_to(step, {"watch": 1, "migrate": 1}.get(step, 0))
        # The control node too, with what has left its process group: ssh would connect again, and begin once more.
        subprocess.run(["pkill", "--signal=KILL", "--full", f"{site.machine}.ini"], check=True)
        site.restart(kill=True)
        process.communicate()
    site.comes_back()
    site.idle()
    after = site.live
    assert (after == before) is (step != "retire"), site.history[-2:]
    assert site.front()["release"] == after
    site.settled()
    last = site.history[-1]
    if step == "migrate":
        assert (last["result"], last["contracting"]) == ("migrating", ["drops the column orders.note"])
        older = next(line["id"] for line in reversed(site.history) if line["result"] == "live" and line["id"] != before)
        refused = site.run("roll-back", 2, release=older)
        assert "drops the column orders.note" in refused, refused[-3000:]
    elif step != "retire":
        assert last["result"] == "failed" and "interrupted" in last["why"]
    else:
        assert (last["result"], last["id"]) == ("live", after)
    with Load(site.address, rate=10) as load:
        site.run("deploy", **approved)
    assert load.failures == []
    assert site.history[-1]["result"] == "live"
    site.settled()


def test_a_backup_before_removal_follows_no_link(site):
    other = site.beside("shop-link")
    other.run("../site")
    other.shell(
        "cd /srv/shop-link/shared && ln -s /etc/shadow stolen && ln -s /etc dir && echo mine >file"
        " && chown --no-dereference shop-link: *"
    )
    other.run("remove", confirm="shop-link")
    archive = other.shell("ls -t /var/backups/slipway/shop-link-shared-*.tar.gz | head -n 1")
    listed = other.shell(f"tar --list --verbose --file {archive}")
    assert "shared/stolen -> /etc/shadow" in listed and "shared/dir -> /etc\n" in listed + "\n"
    assert "shadow-" not in listed and other.shell(f"tar --extract --to-stdout --file {archive} shared/file") == "mine"
    assert other.shell("stat -c '%a %U' /etc/shadow " + archive).splitlines()[1] == "600 root"
    assert json.loads(ask(site.address, "GET", "/")[1])["release"] == site.live
