"""What of an app's name is somebody else's on a machine."""

from __future__ import annotations

import grp
import pwd
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.module_utils.slipway_inspect import claims, nginx, postgres, sockets


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A machine below a directory of the test's own, with the accounts that a test gives it."""
    users: dict[str, tuple[int, str, str]] = {}

    def look_up(name: str) -> SimpleNamespace:
        number, home, shell = users[name]
        return SimpleNamespace(pw_uid=number, pw_dir=home, pw_shell=shell, gr_gid=number, gr_mem=[])

    monkeypatch.setattr(pwd, "getpwnam", look_up)
    monkeypatch.setattr(grp, "getgrnam", look_up)
    for module, name in ((claims, "MARKS"), (claims, "SRV"), (nginx, "ETC"), (postgres, "ETC"), (postgres, "RULES")):
        monkeypatch.setattr(module, name, tmp_path / name)
        (tmp_path / name).mkdir(exist_ok=True)
    monkeypatch.setattr(claims, "UNITS", [tmp_path / "units"])
    (tmp_path / "units").mkdir()
    return SimpleNamespace(path=tmp_path, users=users)


def things(conflicts: list[claims.Conflict]) -> list[str]:
    return [conflict.thing for conflict in conflicts]


def test_a_bare_machine_has_nothing_of_the_name(machine: SimpleNamespace) -> None:
    assert claims.of_web("shop", set()) == []
    assert claims.of_site("shop", set()) == []


def test_a_person_is_no_app(machine: SimpleNamespace) -> None:
    machine.users["alice"] = (1000, "/home/alice", "/bin/bash")
    found = claims.of_web("alice", set())
    assert things(found) == ["user alice", "group alice"]
    assert "a person or program, with the number 1000, the home /home/alice" in found[0].problem


def test_an_app_of_an_earlier_version_is_known_by_its_account(machine: SimpleNamespace) -> None:
    machine.users["shop"] = (998, "/srv/shop/shared", "/usr/sbin/nologin")
    (machine.path / "SRV/shop").mkdir()
    assert claims.of_web("shop", set()) == []


@pytest.mark.parametrize(
    "other", [(1000, "/srv/shop/shared", "/usr/sbin/nologin"), (998, "/srv/shop", "/usr/sbin/nologin")]
)
def test_an_account_of_nearly_that_form_is_none(machine: SimpleNamespace, other: tuple) -> None:
    machine.users["shop"] = other
    assert "user shop" in things(claims.of_web("shop", set()))


def test_what_the_mark_says_is_the_apps(machine: SimpleNamespace) -> None:
    machine.users["shop"] = (1000, "/home/shop", "/bin/bash")
    (machine.path / "SRV/shop").mkdir()
    (machine.path / "MARKS/shop").write_text("\n".join(claims.would_make("shop", web=True, database=False)))
    assert claims.of_web("shop", claims.marks("shop")) == []


def test_units_of_somebody_are_named_and_ours_are_not(machine: SimpleNamespace) -> None:
    units = machine.path / "units"
    (units / "shop-web@.service").write_text("ExecStart=/opt/shop/run")
    (units / "shop-web@.socket").write_text("ListenStream=/srv/shop/releases/%i/web.sock")
    (units / "shop-mailer.service").write_text("ExecStart=/opt/shop/mail")
    assert things(claims.of_web("shop", set())) == [f"unit {units}/shop-web@.service"]


def test_a_site_of_somebody_is_named(machine: SimpleNamespace) -> None:
    available = machine.path / "ETC/sites-available"
    available.mkdir()
    (available / "shop.conf").write_text("# Ansible managed\nserver { listen 80; }")
    assert things(claims.of_site("shop", set())) == [f"site {available}/shop.conf"]
    (available / "shop.conf").write_text("proxy_set_header Connection $slipway_connection;")
    assert claims.of_site("shop", set()) == []


def test_ports_that_another_unit_holds_are_named_with_the_way_out() -> None:
    wanted = [{"port": 80, "unit": "nginx.service", "variable": "nginx_http_port"}]
    held = {80: [sockets.Holder("nginx", "nginx.service")]}
    assert claims.of_ports(wanted, held) == []
    held = {80: [sockets.Holder("apache2", "apache2.service"), sockets.Holder("docker-proxy", "docker.service")]}
    first, second = claims.of_ports(wanted, held)
    assert "apache2 (apache2.service) listens there" in first.problem
    assert "systemctl disable --now apache2.service" in first.advice and "nginx_http_port" in first.advice
    assert second.thing == "port 80"


def test_a_cluster_at_the_wanted_port_is_named_also_where_it_is_stopped(machine: SimpleNamespace) -> None:
    conf = machine.path / "ETC/15/theirs"
    conf.mkdir(parents=True)
    (conf / "postgresql.conf").write_text("port = 5432 # (change requires restart)\n")
    facts = {"cluster": "new", "port": 5432}
    assert things(claims.of_cluster(facts, "15", 5432, {})) == ["port 5432"]
    assert claims.of_cluster(facts, "15", 5433, {}) == []


def test_admins_are_people(machine: SimpleNamespace) -> None:
    machine.users |= {
        "alice": (1000, "/home/alice", "/bin/bash"),
        "redis": (110, "/var/lib/redis", "/usr/sbin/nologin"),
        "shop": (999, "/srv/shop/shared", "/usr/sbin/nologin"),
    }
    assert things(claims.of_admins(["alice", "redis", "shop", "newcomer"], {"app"})) == ["admin redis", "admin shop"]


@pytest.mark.parametrize(
    ("rules", "making", "kind"),
    [
        ("# Ansible managed\nlocal all postgres peer\nlocal all all reject\nhost all all all reject\n", False, "ours"),
        ("# Ansible managed\nlocal all all peer\n", False, "shared"),
        ("local all all peer\n", False, "shared"),
        ("local all all peer\n", True, "ours"),
    ],
)
def test_whose_a_cluster_is(
    machine: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, rules: str, making: bool, kind: str
) -> None:
    first = machine.path / "first"
    monkeypatch.setattr(postgres, "FIRST", first)
    cluster = machine.path / "ETC/15/main"
    cluster.mkdir(parents=True)
    assert postgres.facts("15", "shop")["cluster"] == "new"
    (cluster / "postgresql.conf").write_text("max_connections = 300\nport = 5433\n#listen_addresses = '*'\n")
    (cluster / "pg_hba.conf").write_text(rules)
    if making:
        first.write_text("")
    found = postgres.facts("15", "shop")
    assert (found["cluster"], found["port"], found["max_connections"]) == (kind, 5433, 300)
    assert found["listen_addresses"] == "localhost"


def test_our_block_is_taken_out_of_somebodys_rules() -> None:
    theirs = "# BEGIN others\nlocal all all peer\n# END others\n"
    assert postgres.without_ours(f"# BEGIN slipway\nlocal a a peer\n# END slipway\n{theirs}") == theirs
