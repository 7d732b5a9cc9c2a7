"""What the inventory's shared wiring makes of where the app's database is, as Ansible itself reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

WIRING = Path(__file__).parents[2] / "inventory/group_vars/all"
CA = "/etc/slipway/database-ca/shop.pem"
OVER_THE_NETWORK = {"postgres_clients": ["203.0.113.11"], "postgres_password": "x"}


def wired(directory: Path, settings: dict, web: str = "web1") -> dict:
    """Return what a web machine's variables come to, with the database on 203.0.113.10."""
    hosts = {"web1": {"ansible_host": "203.0.113.11"}, "db1": {"ansible_host": "203.0.113.10"}}
    groups = {"web": {"hosts": {web: hosts[web]}}, "db": {"hosts": {"db1": hosts["db1"]}}}
    (directory / "group_vars").mkdir()
    (directory / "group_vars/all").symlink_to(WIRING)
    (directory / "group_vars/prod.yml").write_text(yaml.safe_dump({"app_name": "shop"} | settings))
    (directory / "hosts.yml").write_text(yaml.safe_dump({"prod": {"children": groups}}))
    loader = DataLoader()
    manager = InventoryManager(loader=loader, sources=[str(directory / "hosts.yml")])
    variables = VariableManager(loader=loader, inventory=manager)
    HostVars(manager, variables, loader)  # so that one machine's are known to the other
    seen = variables.get_vars(host=manager.get_host(web))
    templar = Templar(loader=loader, variables=seen)
    names = ("app_database_ca", "gunicorn_database_machine", "postgres_tls_names")
    return {name: templar.template(seen[name]) for name in names}


def url(place: str) -> dict:
    """Return settings with a URL that has a password with all that is awkward."""
    return OVER_THE_NETWORK | {"app_secrets": {"DATABASE_URL": f"postgresql://shop:p%40[?#s@{place}"}}


@pytest.mark.parametrize(
    "place", ["203.0.113.10:5432/shop", "203.0.113.10/shop?sslmode=require", "db1/shop", "db1", "[db1]:5432/shop"]
)
def test_an_app_verifies_the_inventorys_own_database(tmp_path: Path, place: str) -> None:
    found = wired(tmp_path, url(place))
    assert (found["app_database_ca"], found["gunicorn_database_machine"]) == (CA, "db1")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql+psycopg", "postgresql+asyncpg"])
def test_the_urls_driver_does_not_matter(tmp_path: Path, scheme: str) -> None:
    settings = OVER_THE_NETWORK | {"app_environment": {"DATABASE_URL": f"{scheme}://u:p@db1/shop"}}
    assert wired(tmp_path, settings)["app_database_ca"] == CA


def test_an_address_of_version_6_is_a_name_too(tmp_path: Path) -> None:
    found = wired(tmp_path, url("[2001:db8::1]:5432/shop") | {"postgres_tls_names": ["2001:db8::1"]})
    assert found["app_database_ca"] == CA


@pytest.mark.parametrize(
    "settings",
    [
        url("managed.example:5432/shop"),
        url("203.0.113.100/shop"),
        url("db1/shop") | {"postgres_settings": {"ssl_cert_file": "/etc/ours.pem"}},
        url("db1/shop") | {"postgres_clients": []},
        OVER_THE_NETWORK | {"app_secrets": {"DATABASE_URL": "mysql://u:p@db1/shop"}},
        OVER_THE_NETWORK,
    ],
    ids=["elsewhere", "another address", "a certificate of his own", "no clients", "another server", "no URL"],
)
def test_what_is_not_ours_is_left_alone(tmp_path: Path, settings: dict) -> None:
    found = wired(tmp_path, settings)
    assert (found["app_database_ca"], found["gunicorn_database_machine"]) == ("", "")


def test_on_one_machine_the_socket_needs_nothing(tmp_path: Path) -> None:
    found = wired(tmp_path, {}, web="db1")
    assert found == {
        "app_database_ca": "", "gunicorn_database_machine": "", "postgres_tls_names": ["203.0.113.10", "db1"],
    }  # fmt: skip
