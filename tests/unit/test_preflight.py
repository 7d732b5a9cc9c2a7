"""What an inventory is refused for, asked of site.yml itself: each message has the variable, its place and the form."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import certificates
import pytest
import yaml

# A run of ansible-playbook each: for `make test`, not for the fast lane.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
GOOD = {
    "app_name": "shop",
    "app_source": str(ROOT / "tests/apps/module"),
    "app_wsgi": "app:app",
    "app_domains": ["shop.example"],
}
CASES = {
    "classes of an audit": ({"postgres_audit_classes": ["ddl", "dml"]}, ["postgres_audit_classes", "misc_set", "dml"]),
    "missing source": ({"app_source": None}, ["app_source", "not set", "a directory on this computer, or a git URL"]),
    "source that is not there": ({"app_source": "/nowhere"}, ["app_source", "all.yml:2", "no directory /nowhere"]),
    "wrong name": ({"app_name": "My_Shop"}, ["app_name", "all.yml:1", "[a-z][a-z0-9-]{0,30}"]),
    "name of a service": ({"app_name": "dbus"}, ["app_name", "all.yml:1", "a unit of systemd's"]),
    "name of PostgreSQL's": ({"app_name": "public"}, ["app_name", "all.yml:1", "keyword of PostgreSQL's"]),
    "name of a unit of systemd's": ({"app_name": "systemd-fsck"}, ["app_name", "a unit of systemd's"]),
    "admin that is a system user": (
        {"base_admins": [{"name": "www-data", "keys": ["ssh-ed25519 AAAA"]}]},
        ["base_admins", "all.yml:", "'www-data' is the name of a user or group of Debian's own"],
    ),
    "admin that is the app": (
        {"base_admins": [{"name": "shop", "keys": ["ssh-ed25519 AAAA"]}]},
        ["base_admins", "'shop' is the name of the app"],
    ),
    "name of a system user": ({"app_name": "www-data"}, ["app_name", "all.yml:1", "Debian's own"]),
    "misspelt name": ({"app_domian": ["x.example"]}, ["app_domian", "all.yml:5", "Did you mean app_domains?"]),
    "misspelt prefix": ({"ap_domains": ["x.example"]}, ["ap_domains", "all.yml:5", "Did you mean app_domains?"]),
    "wrong type": ({"app_watch_seconds": "soon"}, ["app_watch_seconds", "all.yml:5", "int"]),
    "short key": ({"app_secrets": {"SECRET_KEY": "hunter22"}}, ["app_secrets.SECRET_KEY", "all.yml:5", "8 characters"]),
    "known key": ({"app_environment": {"SECRET_KEY": "changeme"}}, ["app_environment.SECRET_KEY", "everybody knows"]),
    "debugger": ({"app_environment": {"FLASK_DEBUG": 1}}, ["FLASK_DEBUG", "all.yml:5", "console"]),
    "unknown ref": ({"app_source": f"file://{ROOT}", "app_version": "no-such-ref"}, ["app_version", "no-such-ref"]),
    "no such repository": ({"app_source": "file:///no/such.git"}, ["app_source", "all.yml:2", "cannot be read"]),
    "missing module": ({"app_wsgi": "nothing:app"}, ["app_wsgi", "all.yml:3", "no module 'nothing'"]),
    "missing callable": ({"app_wsgi": "app:nothing"}, ["app_wsgi", "all.yml:3", "defines no 'nothing'"]),
    "wildcard for acme": (
        {"tls_mode": "acme", "app_domains": ["shop.example", "*.shop.example"]},
        ["app_domains", "all.yml:4", "'*.shop.example'", "[www.example.com, example.com]"],
    ),
    "address for acme": (
        {"tls_mode": "acme", "app_domains": ["192.0.2.7"]},
        ["app_domains", "all.yml:4", "'192.0.2.7' is an address", "[www.example.com, example.com]"],
    ),
    "no domain for acme": (
        {"tls_mode": "acme", "app_domains": None},
        ["app_domains", "not set in any file", "no name", "[www.example.com, example.com]"],
    ),
    "no address of the account": (
        {"tls_mode": "acme", "certificate_email": "ada"},
        ["certificate_email", "all.yml:6", "ops@example.com"],
    ),
    "no way out": (
        {"app_allow_outbound": ["resolver", "smtp"]},
        ["app_allow_outbound", "all.yml:5", "'smtp' is no way out", "587/tcp"],
    ),
    "no certificate for provided": (
        {"tls_mode": "provided"},
        ["nginx_tls_certificate", "not set in any file", "a PEM file", "No machine was touched"],
    ),
    "certificate that is not there": (
        {"tls_mode": "provided", "nginx_tls_certificate": "/no.pem", "nginx_tls_key": "/no.key"},
        ["nginx_tls_certificate", "all.yml:6", "there is no file /no.pem", "the path of a PEM file"],
    ),
    "unknown tls mode": ({"tls_mode": "magic"}, ["tls_mode", "all.yml:5", "selfsigned"]),
}


def run(inventory: Path, *arguments: str) -> str:
    """Run site.yml on an inventory whose machine does not exist, and return what it prints."""
    done = subprocess.run(
        [BIN / "ansible-playbook", "site.yml", "-i", str(inventory), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(inventory.parent), "ANSIBLE_FORCE_COLOR": "0"},
    )
    printed = done.stdout + done.stderr
    assert done.returncode != 0, printed
    return " ".join(printed.split())


def refuse(inventory: Path, *arguments: str) -> str:
    """Run site.yml on an inventory that it refuses, and return what it prints."""
    printed = run(inventory, *arguments)
    assert "UNREACHABLE" not in printed, "a machine was touched"
    return printed


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """An inventory with one machine that nobody answers for."""
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "hosts").write_text("[web]\nmachine ansible_host=127.0.0.1 ansible_port=1\n[db]\nmachine\n")
    return tmp_path / "hosts"


def write(inventory: Path, settings: dict) -> None:
    """Set the variables of all machines."""
    chosen = {name: value for name, value in (GOOD | settings).items() if value is not None}
    text = yaml.safe_dump(chosen, sort_keys=False, default_flow_style=None)
    (inventory.parent / "group_vars/all.yml").write_text(text)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_bad_value_is_refused_with_its_variable_place_and_form(inventory: Path, case: tuple) -> None:
    settings, words = case
    write(inventory, settings)
    printed = refuse(inventory)
    assert [word for word in words if word not in printed] == []


@pytest.mark.parametrize(
    ("certificate", "key", "words"),
    [
        ("ecdsa", "rsa2048", "key and certificate do not belong together"),
        ("expired", "expired", "has expired on"),
        ("chain-order", "ecdsa", "the chain is out of order"),
        ("other-name", "other-name", "is for other.example, 192.0.2.7, and not for shop.example"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_refused(inventory: Path, certificate: str, key: str, words: str) -> None:
    directory = inventory.parent / "certificates"
    directory.mkdir()
    certificates.write(directory)
    files = {"nginx_tls_certificate": f"{directory}/{certificate}.pem", "nginx_tls_key": f"{directory}/{key}.key"}
    write(inventory, {"tls_mode": "provided", **files})
    printed = refuse(inventory, "-vvv", "--diff")
    assert "all.yml:6" in printed and words in printed
    assert (directory / f"{key}.key").read_text().splitlines()[1] not in printed


def test_an_inventory_without_web_is_refused(inventory: Path) -> None:
    write(inventory, {})
    inventory.write_text("[db]\nmachine\n")
    assert "group web" in refuse(inventory)


def test_the_examples_placeholders_are_refused_line_by_line() -> None:
    for name in ("prod", "staging"):
        printed = refuse(ROOT / "inventory" / name)
        assert f"inventory/{name}:4: web1 ansible_host=CHANGE_ME" in printed
        assert f"inventory/group_vars/{name}/main.yml:7: app_name: CHANGE_ME" in printed


def test_a_web_machine_that_is_not_the_databases_must_be_told_the_way(inventory: Path) -> None:
    write(inventory, {})
    inventory.write_text("[web]\none\n[db]\ntwo\n")
    assert "app_secrets.DATABASE_URL" in refuse(inventory)


NETWORK = {"postgres_clients": ["127.0.0.2"], "postgres_password": "long-enough"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"DATABASE_URL": "postgresql://u:canary@10.9.9.9/shop"}, ["leads to 10.9.9.9", "(127.0.0.1, two)"]),
        (
            {"DATABASE_URL": "postgresql://u:canary@two/shop", "REPORTS_URL": "postgres://u:canary@reports.example/r"},
            ["REPORTS_URL", "leads to reports.example"],
        ),
    ],
    ids=["the app's own", "another one"],
)
def test_a_database_that_would_not_be_verified_is_refused(inventory: Path, settings: dict, words: list) -> None:
    write(inventory, NETWORK | {"app_secrets": settings})
    inventory.write_text("[web]\none\n[db]\ntwo ansible_host=127.0.0.1 ansible_port=1\n")
    printed = refuse(inventory)
    assert [word for word in [*words, "postgres_tls_names", "sslmode=..."] if word not in printed] == []
    assert "canary" not in printed


def test_a_database_elsewhere_whose_url_says_how_is_taken(inventory: Path) -> None:
    there = {
        "DATABASE_URL": "postgresql://u:p@two/shop",
        "REPORTS_URL": "postgres://u:p@reports.example/r?sslmode=require",
    }
    write(inventory, NETWORK | {"app_secrets": there})
    inventory.write_text("[web]\none ansible_host=127.0.0.1 ansible_port=1\n[db]\ntwo\n")
    assert "leads to" not in run(inventory)


def test_names_that_no_certificate_can_have_are_refused(inventory: Path) -> None:
    write(inventory, NETWORK)
    (inventory.parent / "group_vars/db.yml").write_text("postgres_tls_names: [db 1]\n")
    printed = refuse(inventory)
    assert [word for word in ("postgres_tls_names", "db.yml:1", "db1.example.com") if word not in printed] == []


def test_a_provided_certificate_is_tried_here(inventory: Path) -> None:
    made = {}
    for name in ("one", "two"):
        made[name] = [inventory.parent / f"{name}.{kind}" for kind in ("pem", "key")]
        words = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        words += ["-subj", "/CN=db", "-keyout", str(made[name][1]), "-out", str(made[name][0])]
        subprocess.run(words, check=True, capture_output=True)
    given = {"postgres_tls_certificate": str(made["one"][0]), "postgres_tls_ca": str(made["two"][1])}
    write(inventory, given)
    assert "postgres_tls_key" in (printed := refuse(inventory))
    assert "three PEM files" in printed
    write(inventory, given | {"postgres_tls_key": str(made["two"][1])})
    printed = refuse(inventory)
    assert "KEY_VALUES_MISMATCH" in printed or "key values mismatch" in printed
    assert "a CA's certificate" in printed
    write(inventory, given | {"postgres_tls_key": str(made["one"][1]), "postgres_tls_ca": "nowhere.pem"})
    assert "nowhere.pem cannot be read" in refuse(inventory)


@pytest.mark.parametrize("given", [(), ("--vault-password-file", "other")], ids=["no password", "another password"])
def test_a_vault_that_cannot_be_opened_is_refused_by_name(inventory: Path, given: tuple) -> None:
    write(inventory, {})
    (inventory.parent / "group_vars/web").mkdir()
    vault, password, other = (
        inventory.parent / "group_vars/web/vault.yml",
        inventory.parent / "pw",
        inventory.parent / "other",
    )
    vault.write_text("vault_app_secret_key: x\n")
    password.write_text("right\n")
    other.write_text("wrong\n")
    encrypt = [BIN / "ansible-vault", "encrypt", "--vault-password-file", str(password), str(vault)]
    subprocess.run(encrypt, cwd=ROOT, check=True, capture_output=True)
    arguments = [str(other) if word == "other" else word for word in given]
    printed = refuse(inventory, *arguments)
    assert str(vault) in printed
    assert "vault password" in printed
    assert "--vault-password-file FILE" in printed


def test_a_secret_is_never_printed(inventory: Path) -> None:
    write(inventory, {"app_secrets": {"SECRET_KEY": "hunter2-canary", "OTHER": "canary-of-the-other"}})
    printed = refuse(inventory, "-vvv")
    assert "canary" not in printed.replace("SECRET_KEY", "")


def test_the_run_that_makes_the_vault_goes_on_with_it(inventory: Path) -> None:
    """The vault's own place is read as variables of the environment, from the next play of the same run on."""
    (inventory.parent / "group_vars/web").mkdir()
    vault = inventory.parent / "group_vars/web/vault.yml"
    write(inventory, {"app_secrets_file": str(vault), "app_vault_password_file": str(inventory.parent / "password")})
    printed = run(inventory)
    assert vault.read_text().startswith("$ANSIBLE_VAULT")
    assert "UNREACHABLE" in printed, "it did not get as far as the machine"
