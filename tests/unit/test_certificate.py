"""When the certificate role's program asks for another certificate, when it waits, and what it says."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .conftest import load

certificate = load("roles/certificate/files/certificate.py")
DIRECTORY = "https://ca.example/dir"
BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
NAMES = ["shop.example", "www.shop.example"]


def days(number: float) -> datetime.datetime:
    """Return a moment, some days after the certificate was issued."""
    return BEGIN + datetime.timedelta(days=number)


@pytest.fixture
def settings(tmp_path: Path) -> certificate.Settings:
    """Settings of a site whose certificate is valid for 90 days from BEGIN on."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an authority")])
    issued = (
        x509.CertificateBuilder(name, x509.Name([]), key.public_key(), 1, BEGIN, days(90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in NAMES]), critical=False)
        .sign(key, hashes.SHA256())
    )
    live = tmp_path / "config/live/shop"
    live.mkdir(parents=True)
    (live / "fullchain.pem").write_bytes(issued.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "config/renewal").mkdir()
    (tmp_path / "config/renewal/shop.conf").write_text(f"version = 1\nserver = {DIRECTORY}\nkey_type = ecdsa\n")
    (tmp_path / "shop.json").write_text(
        json.dumps(
            {
                "site": "shop",
                "names": NAMES,
                "email": "",
                "directory_url": DIRECTORY,
                "directory_ca": "",
                "key_type": "ecdsa",
                "webroot": "/nowhere",
                "file": str(tmp_path / "shop.pem"),
                "https_port": 1,
                "state": str(tmp_path),
            }
        )
    )
    return certificate.Settings.read(tmp_path / "shop.json")


def test_a_certificate_that_fits_is_kept_for_two_thirds_of_its_time(settings: certificate.Settings) -> None:
    assert certificate.reason(settings, days(59)) == ""
    assert "third" in certificate.reason(settings, days(61))
    assert "third" in certificate.reason(settings, days(91))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"names": [NAMES[0]]}, "names"),
        ({"names": [*NAMES, "new.example"]}, "names"),
        ({"key_type": "rsa"}, "key"),
        ({"directory_url": "https://other.example/dir"}, "authority"),
        ({"site": "other"}, "none yet"),
    ],
)
def test_another_wish_is_another_certificate(settings: certificate.Settings, changes: dict, said: str) -> None:
    assert said in certificate.reason(settings._replace(**changes), days(1))


def test_the_order_and_the_case_of_names_mean_nothing(settings: certificate.Settings) -> None:
    assert certificate.reason(settings._replace(names=["WWW.shop.example", "shop.example"]), days(1)) == ""


def test_a_person_can_ask_for_another(settings: certificate.Settings) -> None:
    (settings.state / "renew").touch()
    assert "asked" in certificate.reason(settings, days(1))


def test_a_timer_tries_each_hour_for_a_day_and_twice_a_day_afterwards() -> None:
    hour, day = certificate.HOUR, certificate.DAY
    assert not certificate.too_early({}, 10 * day)
    assert not certificate.too_early({"failing_since": 9.5 * day, "tried": 10 * day - hour}, 10 * day)
    assert certificate.too_early({"failing_since": 8 * day, "tried": 10 * day - hour}, 10 * day)
    assert not certificate.too_early({"failing_since": 8 * day, "tried": 10 * day - 12 * hour}, 10 * day)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("  Type:   dns\n  Detail: DNS problem: NXDOMAIN looking up A for shop.example", "A and AAAA records"),
        ("  Type:   connection\n  Detail: Fetching http://shop.example: Timeout", "port 80"),
        ("  Type:   unauthorized\n  Detail: Invalid response from http://shop.example: 404", "port 80"),
        ("requests.exceptions.ConnectionError: Max retries exceeded: Connection refused", "authority itself"),
        ("Error creating new order :: too many failed authorizations recently: rateLimited", "limit"),
        ("something new", "lines above"),
    ],
)
def test_a_failure_says_what_to_do(output: str, said: str) -> None:
    assert said in certificate.advice(output)


def test_what_certbot_always_prints_is_left_out() -> None:
    output = "Saving debug log to /x\n\nRequesting a certificate for a\nThe reason.\nSome challenges have failed.\n"
    assert certificate.last_lines(output) == ["The reason."]


def test_a_failed_try_keeps_the_first_time_that_it_failed(
    settings: certificate.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise certificate.Failure("certbot says:\n  Type: dns")

    monkeypatch.setattr(certificate, "request", refuse)
    missing = settings._replace(site="other")
    first = certificate.look_after(missing, {}, 1000.0, by_timer=True)
    second = certificate.look_after(missing, first, 2000.0, by_timer=True)
    assert (first["served"], second["served"], second["failing_since"], second["tried"]) == (False, False, 1000, 2000)
    assert "self-signed" in second["message"] and "Type: dns" in second["message"]


def test_an_authority_that_has_forgotten_the_account_gets_a_new_one(
    settings: certificate.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = settings.state / "config/accounts"
    accounts.mkdir()
    # As Debian 12's certbot has it, in its log alone.
    (settings.state / "log").mkdir()
    (settings.state / "log/letsencrypt.log").write_text(
        "acme.messages.Error: urn:ietf:params:acme:error:accountDoesNotExist :: Account https://a/1 not found.\n"
    )

    def ask(*_: str) -> certificate.subprocess.CompletedProcess:
        said = "AttributeError: can't set attribute"
        return certificate.subprocess.CompletedProcess([], int(accounts.exists()), said)

    monkeypatch.setattr(certificate, "run", ask)
    certificate.request(settings)
    assert not accounts.exists()


def test_what_nginx_refuses_is_not_left_for_its_next_start(
    settings: certificate.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (settings.issued / "privkey.pem").write_text("a key")
    settings.file.write_text("what was served")
    judged = certificate.subprocess.CompletedProcess([], 1, "key values mismatch")
    monkeypatch.setattr(certificate, "run", lambda *_: judged)
    with pytest.raises(certificate.Failure, match="key values mismatch"):
        certificate.install(settings)
    assert settings.file.read_text() == "what was served"
