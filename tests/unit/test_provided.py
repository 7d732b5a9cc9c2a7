"""What a provided certificate is refused for; the certificates are real ones."""

from __future__ import annotations

from pathlib import Path

import certificates
import pytest

from .conftest import load

judge = load("roles/nginx/filter_plugins/nginx_provided.py").nginx_provided


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of certificates for shop.example and the names below it."""
    directory = tmp_path_factory.mktemp("certificates")
    certificates.write(directory)
    return directory


def faults(made: Path, certificate: str, key: str = "", *names: str) -> list[str]:
    """Return what is wrong with two of the files for names."""
    key = (made / f"{key or certificate}.key").read_text()
    return judge((made / f"{certificate}.pem").read_text(), key, names or ("shop.example",))["faults"]


@pytest.mark.parametrize("name", ["ecdsa", "rsa2048", "rsa4096", "self-signed"])
def test_a_good_pair_has_no_fault(made: Path, name: str) -> None:
    assert faults(made, name, "", "shop.example", "www.SHOP.example", "*.shop.example", "shop.example.") == []


@pytest.mark.parametrize(
    ("certificate", "key", "words"),
    [
        ("ecdsa", "rsa2048", "do not belong together"),
        ("chain-first", "ecdsa", "the server's own must be the first"),
        ("chain-order", "ecdsa", "after CN=ecdsa must come CN=Test intermediate, not CN=Test root"),
        ("expired", "expired", "has expired on "),
        ("early", "early", "not valid before "),
        ("rsa1024", "rsa1024", "1024 bits"),
        ("ecdsa", "locked", "passphrase"),
        ("other-name", "other-name", "is for other.example, 192.0.2.7, and not for shop.example"),
    ],
)
def test_what_clients_or_nginx_would_refuse_is_a_fault(made: Path, certificate: str, key: str, words: str) -> None:
    assert words in "; ".join(faults(made, certificate, key))


def test_a_star_stands_for_one_label(made: Path) -> None:
    assert "and not for a.b.shop.example" in faults(made, "ecdsa", "", "a.shop.example", "a.b.shop.example")[0]


def test_an_address_is_named_as_such(made: Path) -> None:
    assert faults(made, "other-name", "", "192.0.2.7") == []
    assert faults(made, "ecdsa", "", "192.0.2.7") != []


def test_a_common_name_alone_is_no_name() -> None:
    pair = certificates.Pair("shop.example")
    assert "for no name at all" in judge(pair.text, certificates.pem(pair.key), ["shop.example"])["faults"][0]


def test_what_is_no_certificate_or_no_key_is_said_without_showing_it(made: Path) -> None:
    key = (made / "ecdsa.key").read_text()
    assert "no certificate in PEM form" in judge(key, key)["faults"][0]
    for wrong in ("canary", key[:60] + "canary" + key[60:]):
        (fault,) = judge((made / "ecdsa.pem").read_text(), wrong)["faults"]
        assert "no private key in PEM form" in fault and "canary" not in fault


def test_whether_an_authority_stands_behind_it_is_told(made: Path) -> None:
    told = {name: judge((made / f"{name}.pem").read_text())["self_signed"] for name in ("ecdsa", "self-signed")}
    assert told == {"ecdsa": False, "self-signed": True}
