#!/usr/bin/python3
"""Get a site's certificate from an ACME authority, keep it fresh, and see that nginx really serves it.

usage: certificate SETTINGS.json

Started by a timer, and by Ansible. What nginx serves is a copy in one file: it is replaced by one rename after
certbot is done, nginx judges it before it is told, and a handshake for each name proves it afterwards. What cannot be
done leaves the old certificate in charge, the reason in outcome.json, and status 1.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from stat import S_IMODE
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

# certbot's lines that say nothing about the reason.
CHATTER = re.compile(r"^(Saving debug|Ask for help|Requesting a|Renewing an|Account registered|Some challenges)|^$")
FORGOTTEN = re.compile(r"accountDoesNotExist|Account \S+ not found")
ADVICE = (
    (
        r"rateLimited|too many",
        "the authority's limit is reached: wait; to try things out, set certificate_directory_url to its staging"
        " directory",
    ),
    (
        r"ConnectionError|ConnectTimeout|Connection refused|Max retries|requests\.exceptions|Name or service not known",
        "the authority itself cannot be reached from this machine: look at certificate_directory_url and at the way out"
        " (DNS, firewall, proxy)",
    ),
    (
        r"Type: +dns|NXDOMAIN|DNS problem|could not resolve",
        "let the A and AAAA records of each name point to this machine, or take the name out of app_domains",
    ),
    (
        r"Type: +(connection|unauthorized)",
        "let port 80 of each name reach this machine's nginx from the internet: look at its A and AAAA records, at"
        " firewalls before it, and at what else answers there",
    ),
)
HOUR, DAY = 3600, 86400


class Failure(Exception):
    """What was tried did not work, and why."""


class Settings(NamedTuple):
    """What the role wrote down."""

    site: str
    names: list[str]
    email: str
    directory_url: str
    directory_ca: str
    key_type: str
    webroot: str
    file: Path
    https_port: int
    state: Path

    @classmethod
    def read(cls, path: Path) -> Settings:
        """Return the settings of a file."""
        values = json.loads(path.read_text())
        return cls(**values | {"file": Path(values["file"]), "state": Path(values["state"])})

    @property
    def issued(self) -> Path:
        """Where certbot keeps the newest certificate and its key."""
        return self.state / "config/live" / self.site


def read(file: Path) -> x509.Certificate | None:
    """Return the first certificate of a PEM file, None where there is none."""
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def names(certificate: x509.Certificate) -> set[str]:
    """Return the names that a certificate is for."""
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return set(extension.value.get_values_for_type(x509.DNSName))


def validity(certificate: x509.Certificate) -> tuple[datetime, datetime]:
    """Return from when to when a certificate is valid; older versions of the library know no time zone."""
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return certificate.not_valid_before.replace(tzinfo=UTC), certificate.not_valid_after.replace(tzinfo=UTC)


def until(certificate: x509.Certificate) -> str:
    """Return in words how long a certificate is valid."""
    return f"valid until {validity(certificate)[1]:%Y-%m-%d %H:%M} UTC"


def reason(settings: Settings, now: datetime) -> str:
    """Return why another certificate is needed, "" where the one that certbot has will do."""
    certificate = read(settings.issued / "fullchain.pem")
    if certificate is None:
        return "there is none yet"
    if names(certificate) != {name.lower() for name in settings.names}:
        return "the names have changed"
    if ("rsa" if isinstance(certificate.public_key(), rsa.RSAPublicKey) else "ecdsa") != settings.key_type:
        return "another kind of key is wanted"
    kept = settings.state / "config/renewal" / f"{settings.site}.conf"
    if not kept.exists() or f"\nserver = {settings.directory_url}\n" not in kept.read_text():
        return "another authority is wanted"
    begin, end = validity(certificate)
    if end - now < (end - begin) / 3:
        return "less than a third of its time is left"
    if (settings.state / "renew").exists():
        return "it was asked for"
    return ""


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program, with its errors among its output."""
    return subprocess.run(
        words,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
        env=os.environ | {"LC_ALL": "C.UTF-8"} | environment,
    )


def request(settings: Settings) -> None:
    """Get another certificate for all names; by a new account where the authority has forgotten the old one."""
    said = certbot(settings)
    if said and FORGOTTEN.search(said):
        shutil.rmtree(settings.state / "config/accounts")
        said = certbot(settings)
    if said:
        raise Failure("certbot says:\n" + "\n".join(f"  {line}" for line in last_lines(said)))
    (settings.state / "renew").unlink(missing_ok=True)


def certbot(settings: Settings) -> str:
    """Let certbot ask once; return what it says of a failure, "" where there is none."""
    state = settings.state
    if read(settings.issued / "fullchain.pem") is None:
        # What a killed certbot has left half made would make the next one choose another name.
        for name in ("live", "archive", "renewal"):
            shutil.rmtree(state / "config" / name, ignore_errors=True)
    who = ("--email", settings.email, "--no-eff-email") if settings.email else ("--register-unsafely-without-email",)
    trust = {"REQUESTS_CA_BUNDLE": settings.directory_ca} if settings.directory_ca else {}
    done = run(
        *("certbot", "certonly", "--non-interactive", "--agree-tos", *who, "--server", settings.directory_url),
        *("--config-dir", str(state / "config"), "--work-dir", str(state / "work"), "--logs-dir", str(state / "log")),
        *("--max-log-backups", "20", "--webroot", "--webroot-path", settings.webroot, "--preferred-challenges", "http"),
        *("--cert-name", settings.site, "--force-renewal", "--renew-with-new-domains", "--key-type", settings.key_type),
        *(word for name in settings.names for word in ("--domain", name)),
        **trust,
    )
    if done.returncode == 0:
        return ""
    # Debian 12's certbot stumbles while it tells what the authority answered; its log has it.
    log = state / "log/letsencrypt.log"
    answers = re.findall(r"^acme\.messages\.Error: .+", log.read_text() if log.exists() else "", re.M)
    return "\n".join([done.stdout.replace("AttributeError: can't set attribute", ""), *answers[-1:]])


def last_lines(output: str) -> list[str]:
    """Return the end of what certbot printed, without what it always prints."""
    return [line.rstrip() for line in output.splitlines() if not CHATTER.match(line)][-12:]


def advice(text: str) -> str:
    """Return what can be done about a failure."""
    return next((said for pattern, said in ADVICE if re.search(pattern, text)), "the lines above say what is wrong")


def install(settings: Settings) -> bool:
    """Put the newest certificate where nginx reads it, and let nginx read it; True where it was not there."""
    fresh = (settings.issued / "fullchain.pem").read_bytes() + (settings.issued / "privkey.pem").read_bytes()
    old = settings.file.read_bytes() if settings.file.exists() else None
    if old == fresh:
        return False
    replace(settings.file, fresh)
    try:
        reload()
    except Failure:
        # The running nginx goes on with what it has; its next start must be able to as well.
        if old is not None:
            replace(settings.file, old)
        raise
    return True


def reload() -> None:
    """Let nginx read its configuration again; it judges it first, and refuses a broken one."""
    done = run("systemctl", "reload", "nginx.service")
    if done.returncode:
        raise Failure(
            "it was issued, but nginx did not take it; `nginx -t` and `journalctl -u nginx.service` say why:\n"
            f"  {done.stdout.strip()}"
        )


def replace(file: Path, content: bytes) -> None:
    """Write a file that only root reads, all or nothing."""
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    new.replace(file)


def served(settings: Settings, name: str, context: ssl.SSLContext) -> bytes:
    """Return the certificate that a client of this machine gets for a name, as bytes."""
    with (
        socket.create_connection(("127.0.0.1", settings.https_port), timeout=5) as connection,
        context.wrap_socket(connection, server_hostname=name) as wrapped,
    ):
        return wrapped.getpeercert(binary_form=True) or b""


def mistakes(settings: Settings, wanted: bytes) -> list[str]:
    """Return the names for which another certificate is served than the wanted one, and why."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    found = []
    for name in settings.names:
        try:
            if served(settings, name, context) != wanted:
                found.append(f"{name}: another certificate is served; `nginx -T` shows which site answers that name")
        except OSError as error:
            found.append(f"{name}: {error}")
    return found


def put_in_charge(settings: Settings) -> bool:
    """See that the newest certificate is served, reload nginx where it is not; True where anything changed."""
    changed = install(settings)
    certificate = read(settings.file)
    assert certificate is not None
    wanted = certificate.public_bytes(Encoding.DER)
    if not changed and mistakes(settings, wanted):
        reload()
        changed = True
    # A reload returns before the old workers have let go of the port.
    for _ in range(20):
        found = mistakes(settings, wanted)
        if not found:
            return changed
        time.sleep(0.5)
    raise Failure("it was issued, but nginx does not serve it:\n" + "\n".join(f"  {line}" for line in found))


def mark(settings: Settings) -> bool:
    """Set or take away the mark that clients trust what is served, as this machine does; True where it changed."""
    file = settings.file.with_name(f"{settings.file.name}.trusted")
    context = ssl.create_default_context()
    trusted = True
    try:
        for name in settings.names:
            served(settings, name, context)
    except OSError:  # an ssl.SSLError is one
        trusted = False
    # nginx's workers open it: they remember it for a second.
    mode = 0o644
    if trusted == file.exists() and (not trusted or S_IMODE(file.stat().st_mode) == mode):
        return False
    if trusted:
        file.touch()
        file.chmod(mode)
    else:
        file.unlink()
    return True


def too_early(outcome: dict, now: float) -> bool:
    """Whether a timer should wait: what has failed for a day is tried twice a day, as authorities ask for."""
    return now - outcome.get("failing_since", now) > DAY and now - outcome.get("tried", 0) < 11 * HOUR


def meanwhile(settings: Settings) -> str:
    """Return what the site goes on with."""
    certificate = read(settings.file)
    if certificate is None or certificate.issuer == certificate.subject:
        return "The site goes on with a self-signed certificate"
    return f"The site goes on with the certificate that it has, {until(certificate)}"


def look_after(settings: Settings, outcome: dict, now: float, by_timer: bool) -> dict:
    """Do what is to be done, and return how it came out."""
    why = reason(settings, datetime.now(UTC))
    if why and by_timer and too_early(outcome, now):
        return outcome | {"changed": False}
    changed = False
    try:
        if why:
            print(f"asking {settings.directory_url} for a certificate: {why}", flush=True)
            request(settings)
            changed = True
        changed = put_in_charge(settings) or changed
        changed = mark(settings) or changed
    except (Failure, OSError, subprocess.TimeoutExpired) as failure:
        # A certificate that is there is served, whatever its successor waits for.
        with suppress(Failure, OSError):
            changed = ((settings.issued / "fullchain.pem").exists() and put_in_charge(settings)) or changed
        since = outcome.get("failing_since", now)
        message = (
            f"There is no new certificate for {', '.join(settings.names)}: {failure}\n"
            f"What to do: {advice(str(failure))}.\n"
            f"{meanwhile(settings)}. {settings.site}-certificate.timer tries again, and so does the next run."
        )
        return {"served": False, "changed": changed, "message": message, "tried": now, "failing_since": since}
    certificate = read(settings.file)
    assert certificate is not None
    message = f"{', '.join(settings.names)}: served, {until(certificate)}"
    return {"served": True, "changed": changed, "message": message}


def main() -> int:
    """Look after one site's certificate; return the exit status."""
    settings = Settings.read(Path(sys.argv[1]))
    file = settings.state / "outcome.json"
    outcome = {}
    with suppress(FileNotFoundError, ValueError):
        outcome = json.loads(file.read_text())
    # systemd tells a service which timer has started it.
    outcome = look_after(settings, outcome, time.time(), "TRIGGER_TIMER_REALTIME_USEC" in os.environ)
    replace(file, json.dumps(outcome).encode())
    print(outcome["message"], flush=True)
    return 0 if outcome["served"] else 1


if __name__ == "__main__":
    sys.exit(main())
