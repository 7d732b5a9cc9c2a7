"""When settle calls a unit stale and when not, and what it does to units."""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from ansible.module_utils.slipway_settle import units

from .conftest import Failed


@pytest.fixture
def conf(tmp_path):
    """A configuration directory with one file."""
    (tmp_path / "a.conf").write_text("one")
    return tmp_path


def files(conf):
    return units.files_below([str(conf)])


def newest(conf):
    return max(map(units.changed_at, files(conf)))


def test_timestamp_keeps_microseconds():
    text = "Sun 2026-11-22 22:12:29.123456 UTC"
    assert units.parse_timestamp(text) == 1795385549_123456_000


@pytest.mark.parametrize("text", ["", "n/a"])
def test_no_timestamp_is_none(text):
    assert units.parse_timestamp(text) is None


def test_unit_started_after_the_change_is_fresh(conf):
    assert not units.is_stale(files(conf), newest(conf), None)


def test_file_changed_a_microsecond_after_the_start_is_stale(conf):
    assert units.is_stale(files(conf), newest(conf) - 1000, None)


def test_inactive_unit_is_not_stale(conf):
    assert not units.is_stale(files(conf), None, None)


def test_recorded_files_are_not_stale(conf):
    recorded = units.fingerprint(files(conf))
    assert not units.is_stale(files(conf), 0, recorded)


@pytest.mark.parametrize(
    "change",
    [
        lambda conf: (conf / "a.conf").write_text("two"),
        lambda conf: (conf / "b.conf").write_text(""),
        lambda conf: (conf / "a.conf").unlink(),
        lambda conf: (conf / "a.conf").chmod(0o600),
    ],
    ids=["content", "new file", "removed file", "mode"],
)
def test_change_after_the_record_is_stale(conf, change):
    recorded = units.fingerprint(files(conf))
    change(conf)
    assert units.is_stale(files(conf), 0, recorded)


def test_rewriting_the_same_content_after_the_record_is_not_stale(conf):
    recorded = units.fingerprint(files(conf))
    os.utime(conf / "a.conf")
    assert not units.is_stale(files(conf), 0, recorded)


def test_content_behind_a_link_counts(conf, tmp_path_factory):
    target = tmp_path_factory.mktemp("elsewhere") / "target"
    target.write_text("one")
    (conf / "link").symlink_to(target)
    recorded = units.fingerprint(files(conf))
    target.write_text("two")
    assert units.is_stale(files(conf), newest(conf) - 1, recorded)


def test_missing_paths_and_dangling_links_are_harmless(conf):
    (conf / "link").symlink_to("nowhere")
    found = units.files_below([str(conf), "/nonexistent/file"])
    assert conf / "link" in found
    assert units.fingerprint(found)


def test_a_record_from_before_the_last_start_does_not_count(tmp_path):
    stamp = tmp_path / "nginx.service.loaded"
    assert units.recorded_since(stamp, 0) is None
    stamp.write_text("abc")
    assert units.recorded_since(stamp, stamp.stat().st_mtime_ns) == "abc"
    assert units.recorded_since(stamp, stamp.stat().st_mtime_ns + 1) is None


def wanted(name="nginx.service", **more):
    """An entry of the list of units, with the rest as Ansible fills it in."""
    nothing = {"instance_of": None, "enabled": None, "started": False, "paths": [], "topic": None, "required": False}
    return nothing | {"name": name, "probe": [], "when_stale": None, "judge": [], "reload_log": None} | more


LONG_AGO = "Thu 1970-01-01 00:00:01.000000 UTC"
ACTIVE = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "ActiveEnterTimestamp": "Sun 2226-11-22 22:12:29.123456 UTC",
    "UnitFileState": "enabled",
}
INACTIVE = {"LoadState": "loaded", "ActiveState": "inactive", "UnitFileState": "disabled"}


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """What systemd says of every unit, to be changed by the test."""
    says = dict(ACTIVE)
    monkeypatch.setattr(units, "shown", lambda names: [{"Id": name} | says for name in names])
    monkeypatch.setattr(units, "STAMPS", tmp_path / "stamps")
    return says


def test_an_instance_is_what_the_link_leads_to(tmp_path):
    (tmp_path / "current").symlink_to("releases/20261122-1")
    unit = wanted("shop-web@.service", instance_of=str(tmp_path / "current"), topic="web")
    assert units.real(unit) == unit | {"name": "shop-web@20261122-1.service"}


def test_an_instance_of_a_link_that_is_not_there_is_no_unit(tmp_path, module, systemd):
    unit = wanted("shop-web@.service", instance_of=str(tmp_path / "current"), started=True)
    assert units.real(unit) is None
    assert units.Units(module, [unit]).settle() == units.Outcome([], [])
    assert module.commands == []


def test_a_unit_that_is_no_instance_keeps_its_name():
    assert units.real(wanted("user@0.service"))["name"] == "user@0.service"


def test_a_stale_instance_is_called_by_its_own_name(tmp_path, conf, module, systemd):
    systemd["ActiveEnterTimestamp"] = LONG_AGO
    (tmp_path / "current").symlink_to("releases/7")
    unit = wanted("web@.service", instance_of=str(tmp_path / "current"), paths=[str(conf)])
    assert units.Units(module, [unit]).settle().stale == ["web@7.service"]


def test_a_unit_whose_probe_succeeds_is_not_stale(module, systemd):
    assert units.Units(module, [wanted(probe=["nft", "list"])]).settle() == units.Outcome([], [])
    assert module.commands == [["nft", "list"]]


def test_a_unit_whose_probe_fails_is_stale(module, systemd):
    module.status = {"nft": 1}
    found = units.Units(module, [wanted(probe=["nft", "list"], topic="firewall"), wanted("ssh.service")]).settle()
    assert found == units.Outcome([], ["firewall"])


def test_a_unit_whose_probe_is_not_there_is_stale(module, systemd):
    module.unknown = {"nft"}
    assert units.Units(module, [wanted(probe=["nft", "list"])]).settle().stale == ["nginx.service"]


def test_the_program_of_a_probe_that_is_not_there_does_not_end_the_module(settle, systemd):
    unit = {"name": "nftables.service", "probe": ["/nonexistent/nft"]}
    said = settle(units=[unit])
    assert said["changed"]
    assert (said["stale"], said["done"]) == (["nftables.service"], [])
    assert not settle(units=[unit | {"probe": ["true"]}])["changed"]
    assert settle(units=[unit | {"probe": ["false"]}])["stale"] == ["nftables.service"]


def test_a_unit_is_enabled_and_started_where_it_is_not(module, systemd):
    systemd |= INACTIVE
    found = units.Units(module, [wanted(enabled=True, started=True, probe=["false"])]).settle()
    assert found == units.Outcome(["enable nginx.service", "start nginx.service"], [])
    assert module.commands == [["systemctl", verb, "--", "nginx.service"] for verb in ("enable", "start")]


def test_a_unit_that_is_as_it_shall_be_is_left_alone(module, systemd):
    assert units.Units(module, [wanted(enabled=True, started=True)]).settle() == units.Outcome([], [])
    assert module.commands == []


def test_a_check_says_what_it_would_do_to_a_unit(module, systemd):
    systemd |= INACTIVE | {"NeedDaemonReload": "yes"}
    module.check_mode = True
    found = units.Units(module, [wanted(started=True), wanted("old.service", enabled=False)]).settle()
    assert found.done == ["start nginx.service"]
    assert module.commands == []


def test_systemd_reads_its_own_files_again_where_one_needs_it(module, systemd):
    systemd["NeedDaemonReload"] = "yes"
    units.Units(module, [wanted()]).settle()
    assert module.commands == [["systemctl", "daemon-reload"]]


def test_a_unit_that_is_required_and_not_active_is_stale(module, systemd):
    systemd |= INACTIVE
    assert units.Units(module, [wanted(), wanted("ssh.service", required=True)]).settle().stale == ["ssh.service"]


def test_a_unit_that_cannot_be_started_ends_it(module, systemd):
    systemd |= INACTIVE
    module.status = {"systemctl": 1}
    with pytest.raises(Failed, match="systemctl start -- nginx.service failed: it went wrong"):
        units.Units(module, [wanted(started=True)]).settle()


@pytest.fixture
def stale(tmp_path_factory, systemd):
    """A unit that has not read what is on disk, is judged by a command, and is to be reloaded."""
    systemd["ActiveEnterTimestamp"] = LONG_AGO
    file = tmp_path_factory.mktemp("etc") / "nginx.conf"
    file.write_text("one")
    return wanted(paths=[str(file)], judge=["nginx", "-t"], when_stale="reload", topic="configuration")


def test_a_stale_unit_is_judged_and_acted_on_once(module, stale):
    assert units.Units(module, [stale]).settle() == units.Outcome(["reload nginx.service"], [])
    assert module.commands == [["nginx", "-t"], ["systemctl", "reload", "--", "nginx.service"]]
    assert units.Units(module, [stale]).settle() == units.Outcome([], [])


def title(process):
    """What a process is called."""
    return Path(f"/proc/{process}/cmdline").read_bytes()


@pytest.fixture
def daemon(systemd):
    """A process with one child, and what its log says: the program of a unit whose reload replaces its children."""
    script = "sleep 60 & exec sleep 61"
    with subprocess.Popen(["bash", "-c", script], start_new_session=True) as process:
        systemd["MainPID"] = str(process.pid)
        # Until the child is what it will be: while it becomes that, it has no title, as if it had ended.
        while [title(child) for child in units.workers(systemd["MainPID"])] != [b"sleep\0" + b"60\0"]:
            time.sleep(0.01)
        yield process
        os.killpg(process.pid, signal.SIGKILL)


def test_a_reload_is_over_when_the_former_children_are_gone(module, stale, daemon, tmp_path, monkeypatch):
    (child,) = units.workers(str(daemon.pid))
    gone = threading.Timer(0.3, os.kill, [int(child), signal.SIGKILL])
    monkeypatch.setattr(module, "run_command", lambda *_, **__: (gone.start(), (0, "", ""))[1])
    stale |= {"reload_log": str(tmp_path / "error.log"), "judge": []}
    assert units.Units(module, [stale]).settle() == units.Outcome(["reload nginx.service"], [])
    assert units.workers(str(daemon.pid)) == set()


def test_a_reload_after_which_the_children_are_the_same_ends_it_and_stays_stale(
    module, stale, daemon, tmp_path, monkeypatch
):
    monkeypatch.setattr(units, "RELOAD_SECONDS", 0.1)
    log = tmp_path / "error.log"
    log.write_text("of yesterday\n")

    def reload(*_, **__):
        log.write_text(log.read_text() + "the port is somebody else's\n")
        return 0, "", ""

    monkeypatch.setattr(module, "run_command", reload)
    stale |= {"reload_log": str(log), "judge": []}
    for _ in range(2):
        with pytest.raises(Failed, match="error.log says: the port is somebody else's$"):
            units.Units(module, [stale]).settle()


def test_a_process_that_says_that_it_is_shutting_down_is_no_worker():
    with subprocess.Popen(["bash", "-c", "exec -a 'nginx: worker process is shutting down' sleep 60"]) as process:
        while b"shutting" not in title(process.pid):
            time.sleep(0.01)
        assert units.is_leaving(str(process.pid))
        process.kill()
    assert units.is_leaving("0")


def test_what_the_judge_refuses_is_not_loaded_and_stays_stale(module, stale):
    module.status = {"nginx": 1}
    for _ in range(2):
        with pytest.raises(Failed, match="goes on with what it has read before, for nginx -t says: it went wrong"):
            units.Units(module, [stale]).settle()
    assert module.commands == [["nginx", "-t"]] * 2


def test_a_check_only_calls_it_stale(module, stale):
    module.check_mode = True
    assert units.Units(module, [stale]).settle() == units.Outcome(["reload nginx.service"], ["configuration"])
    assert module.commands == []


def test_a_unit_that_is_started_is_not_acted_on_as_well(module, stale, systemd):
    systemd |= INACTIVE
    assert units.Units(module, [stale | {"started": True}]).settle().done == ["start nginx.service"]


def test_what_a_unit_has_loaded_is_recorded_but_not_by_a_check(settle, systemd, tmp_path_factory):
    systemd["ActiveEnterTimestamp"] = LONG_AGO
    file = tmp_path_factory.mktemp("etc") / "nginx.conf"
    file.write_text("one")
    unit = {"name": "nginx.service", "paths": [str(file)]}
    assert settle(units=[unit])["stale"] == ["nginx.service"]
    assert not settle(check=True, loaded=[unit])["changed"]
    assert settle(units=[unit])["stale"] == ["nginx.service"]
    assert not settle(loaded=[unit])["changed"]
    assert not settle(units=[unit])["changed"]
    file.write_text("two")
    assert settle(units=[unit])["stale"] == ["nginx.service"]
