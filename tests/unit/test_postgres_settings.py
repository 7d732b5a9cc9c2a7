"""What the computed PostgreSQL settings come to on machines of all sizes."""

from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import filter_loader
from ansible.template import Templar, trust_as_template

ROLE = Path(__file__).parents[2] / "roles/postgres"
filter_loader.add_directory(str(ROLE / "filter_plugins"))


def trusted(value):
    return trust_as_template(value) if isinstance(value, str) else value


def render(memory, cores, others=(), **settings):
    """The drop-in as a dictionary, for a machine with so much memory (MiB) and so many cores."""
    variables = {}
    for file in ("defaults/main.yml", "vars/main.yml"):
        loaded = yaml.safe_load((ROLE / file).read_text())
        variables |= {name: trusted(value) for name, value in loaded.items()}
    variables |= {
        "ansible_facts": {"memtotal_mb": memory, "processor_vcpus": cores, "distribution_major_version": "12"},
        "ansible_managed": "Ansible managed",
        "__postgres_found": {
            "postgres": {
                "cluster": "new",
                "libraries": "",
                "fragments": [f"/etc/postgresql/slipway-hba.d/50-other.conf:{line}" for line in others],
            }
        },
    } | settings
    source = (ROLE / "templates/slipway.conf.j2").read_text()
    text = Templar(loader=DataLoader(), variables=variables).template(trust_as_template(source))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: value.strip("'") for name, value in (line.split(" = ", 1) for line in lines)}


def megabytes(value):
    assert value.endswith("MB")
    return int(value.removesuffix("MB"))


@pytest.mark.parametrize("memory", [480, 512, 1024, 4096, 65536, 1048576])
@pytest.mark.parametrize("cores", [1, 2, 64])
def test_settings_fit_the_machine(memory, cores):
    conf = render(memory, cores)
    buffers = megabytes(conf["shared_buffers"])
    assert 64 <= buffers <= 16384
    assert buffers <= memory // 4
    assert buffers < megabytes(conf["effective_cache_size"]) < memory
    assert 2 <= megabytes(conf["work_mem"]) <= 64
    assert megabytes(conf["work_mem"]) * int(conf["max_connections"]) <= memory // 2
    assert 16 <= megabytes(conf["maintenance_work_mem"]) <= 1024
    assert int(conf["max_parallel_workers_per_gather"]) <= cores // 2
    assert int(conf["max_worker_processes"]) >= cores


def test_small_machine():
    conf = render(512, 1)
    assert (conf["shared_buffers"], conf["work_mem"], conf["max_parallel_workers_per_gather"]) == ("128MB", "2MB", "0")


def test_large_machine():
    conf = render(65536, 16)
    assert (conf["shared_buffers"], conf["effective_cache_size"], conf["work_mem"]) == ("16384MB", "49152MB", "64MB")


def test_connections_of_all_apps_are_added():
    others = ["# connections: 90", "# connections: 40", 'local "other" "other" peer']
    assert render(4096, 2)["max_connections"] == "100"
    assert render(4096, 2, others)["max_connections"] == "180"
    assert render(4096, 2, postgres_connections_needed=150)["max_connections"] == "160"


def test_listens_only_where_some_app_has_clients():
    assert render(4096, 2)["listen_addresses"] == ""
    assert render(4096, 2, postgres_clients=["10.0.0.0/8"])["listen_addresses"] == "*"
    assert render(4096, 2, ['hostssl "other" "other" 10.0.0.0/8 scram-sha-256'])["listen_addresses"] == "*"


def test_settings_of_the_inventory_win_and_are_quoted():
    conf = render(4096, 2, postgres_settings={"work_mem": "1GB", "jit": False, "application_name": "it's"})
    assert (conf["work_mem"], conf["jit"], conf["application_name"]) == ("1GB", "off", "it''s")


def test_no_setting_logs_a_secret():
    conf = render(4096, 2)
    assert conf["log_statement"] == "none"
    assert conf["log_parameter_max_length"] == conf["log_parameter_max_length_on_error"] == "0"


def test_tls_is_the_roles_where_somebody_comes_over_the_network():
    server = "/etc/postgresql/slipway-tls/server.pem"
    conf = render(4096, 2, postgres_clients=["10.0.0.0/8"])
    assert (conf["ssl"], conf["ssl_cert_file"], conf["ssl_key_file"]) == ("on", server, server)
    assert "ssl_cert_file" not in render(4096, 2)
    own = render(4096, 2, postgres_clients=["10.0.0.0/8"], postgres_settings={"ssl_cert_file": "/etc/own.pem"})
    assert (own["ssl_cert_file"], "ssl_key_file" in own) == ("/etc/own.pem", False)


def test_audit_is_off_until_some_app_of_the_machine_asks_for_it():
    conf = render(4096, 2)
    assert [name for name in conf if "pgaudit" in name or name == "shared_preload_libraries"] == []
    conf = render(4096, 2, ["# audit: write role"])
    assert (conf["shared_preload_libraries"], conf["pgaudit.log"]) == ("pgaudit", "role,write")
    both = render(4096, 2, ["# audit: write role"], postgres_audit_enabled=True)
    assert both["pgaudit.log"] == "ddl,role,write"
    assert (both["pgaudit.log_parameter"], both["pgaudit.log_catalog"]) == ("off", "off")


@pytest.mark.parametrize(
    ("own", "libraries"),
    [("pg_stat_statements", "pg_stat_statements,pgaudit"), ("a, pgaudit ,b", "a,pgaudit,b"), ("", "pgaudit")],
)
def test_libraries_of_the_inventory_stay(own, libraries):
    settings = {"shared_preload_libraries": own}
    assert (
        render(4096, 2, postgres_settings=settings, postgres_audit_enabled=True)["shared_preload_libraries"]
        == libraries
    )
