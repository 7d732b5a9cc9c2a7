"""When PostgreSQL's certificate is made anew, what is in it, and who may read it. openssl and its files are real."""

from __future__ import annotations

import grp
import os
import ssl
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from .conftest import load

made = load("roles/postgres/library/postgres_certificate.py")
NAMES = ["203.0.113.10", "db1", "2001:db8::1"]


def certificate(directory: Path, **params: object) -> made.Certificate:
    """Return what the module works with; this process's own group stands in for PostgreSQL's."""
    group = grp.getgrgid(os.getegid()).gr_name
    return made.Certificate(
        directory, **{"names": NAMES, "group": group, "valid_days": 3650, "renew_days": 1095} | params
    )


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A directory with an authority and a certificate."""
    certificate(tmp_path).make()
    return tmp_path


def test_a_finished_one_is_left_alone(finished: Path) -> None:
    assert certificate(finished).reason() == ""
    assert certificate(finished).open_to_others() == []
    assert certificate(finished, names=NAMES[::-1]).reason() == ""


def test_clients_and_the_server_can_use_it(finished: Path) -> None:
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(finished / "server.pem")
    for check in ("-verify_hostname=db1", "-verify_ip=203.0.113.10", "-verify_ip=2001:db8::1"):
        words = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", *check.split("=")]
        subprocess.run([*words, "-CAfile", finished / "ca.pem", finished / "server.pem"], check=True)
    server = x509.load_pem_x509_certificate((finished / "server.pem").read_bytes())
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "203.0.113.10" in names.get_values_for_type(x509.DNSName), "libpq before 15 looks for it there"


def test_only_who_has_to_reads_the_keys(finished: Path) -> None:
    modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in finished.iterdir()}
    assert modes == {"ca.key": "0o600", "ca.pem": "0o644", "server.pem": "0o640"}
    (finished / "ca.key").chmod(0o644)
    assert [path.name for path in certificate(finished).open_to_others()] == ["ca.key"]


@pytest.mark.parametrize("params", [{"names": [*NAMES, "other"]}, {"names": NAMES[:2]}, {"renew_days": 3651}], ids=str)
def test_other_names_or_a_near_end_are_signed_by_the_same_authority(finished: Path, params: dict) -> None:
    before = {path.name: path.read_text() for path in finished.iterdir()}
    again = certificate(finished, valid_days=7300, **params)
    assert again.reason() in ("the names are others", "it ends soon")
    again.make()
    assert again.reason() == ""
    after = {path.name: path.read_text() for path in finished.iterdir()}
    assert [name for name in sorted(after) if after[name] != before[name]] == ["server.pem"]


@pytest.mark.parametrize("gone", ["ca.key", "ca.pem", "server.pem"])
def test_what_a_killed_run_has_not_made_is_made(finished: Path, gone: str) -> None:
    (finished / gone).unlink()
    (finished / ".new").mkdir()
    (finished / ".new/key").write_text("of a run that was killed")
    assert certificate(finished).reason() != ""
    certificate(finished).make()
    assert certificate(finished).reason() == ""
    assert not (finished / ".new").exists()


def test_a_broken_file_is_replaced(finished: Path) -> None:
    for name in ("ca.pem", "server.pem"):
        (finished / name).write_text((finished / name).read_text()[:100])
        assert certificate(finished).reason() != ""
        certificate(finished).make()
        assert certificate(finished).reason() == ""


def test_nobody_who_speaks_no_tls_is_taken_for_postgresql(finished: Path) -> None:
    with pytest.raises(OSError, match="refused"):
        made.served("db1", finished / "ca.pem", "127.0.0.1", 1)
