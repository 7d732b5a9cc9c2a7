"""Make PostgreSQL's certificate and the authority that signs it, and look at the one that is served."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_certificate
short_description: Make PostgreSQL's certificate, and look at the one that is served
description:
  - With I(state=made) a small authority is made once, of C(ca.key) (root's alone) and C(ca.pem) (what clients trust),
    and a certificate that it signs for I(names). The certificate and its key are one file, C(server.pem), so that
    one rename replaces both. It is made anew when the names change, when it ends soon, or when something is missing.
  - With I(state=served) the server is connected to as a client with sslmode=verify-full does it, once for each name.
    It must serve what is in C(server.pem).
options:
  directory:
    description: Where the files are; it must exist.
    type: path
    required: true
  names:
    description: Host names and addresses of the machine by which clients may call it.
    type: list
    elements: str
    required: true
  state:
    description: Whether the files are made, or the server is looked at.
    type: str
    choices: [made, served]
    default: made
  group:
    description: The group that may read the server's key, which is the server's own.
    type: str
    default: postgres
  valid_days:
    description: Days that a new certificate is valid for.
    type: int
    default: 3650
  renew_days:
    description: A certificate that ends within so many days is made anew.
    type: int
    default: 1095
  address:
    description: Address that the server is looked at by.
    type: str
    default: 127.0.0.1
  port:
    description: TCP port that the server is looked at by.
    type: int
    default: 5432
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Make the certificate
  postgres_certificate:
    directory: /etc/postgresql/slipway-tls
    names: [db1.example, 10.0.0.10]
"""

RETURN = r"""
reason:
  description: Why the certificate was made, empty where it was not.
  type: str
  returned: when state is made
"""

import contextlib
import grp
import ipaddress
import os
import re
import secrets
import shutil
import socket
import ssl
import stat
import struct
import subprocess
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

# It signs for one server, whose machine it is on: it would be replaced with it, and has no other end.
AUTHORITY_DAYS = 36500
SSL_REQUEST = struct.pack("!ii", 8, 80877103)


def alternative_names(names: list[str]) -> list[str]:
    """Return names as a certificate has them. libpq before 15 looks for an address among the host names."""
    found = []
    for name in names:
        with contextlib.suppress(ValueError):
            found.append(f"IP:{ipaddress.ip_address(name)}")
        found.append(f"DNS:{name}")
    return sorted(set(found))


def names_in(printed: str) -> list[str]:
    """Return the names that openssl prints of a certificate, as alternative_names writes them."""
    found = re.findall(r"(DNS|IP Address):([^,\s]+)", printed)
    return sorted({f"IP:{ipaddress.ip_address(name)}" if kind != "DNS" else f"DNS:{name}" for kind, name in found})


def configuration(names: list[str], host: str) -> str:
    """Return what openssl is told; the machine's own openssl.cnf has no say."""
    return "\n".join(
        [
            "[req]\nprompt = no\ndistinguished_name = subject\nx509_extensions = authority",
            f"[subject]\nCN = PostgreSQL of {host[:48]}",
            "[authority]\nbasicConstraints = critical, CA:TRUE, pathlen:0\nkeyUsage = critical, keyCertSign, cRLSign",
            "subjectKeyIdentifier = hash",
            "[server]\nbasicConstraints = critical, CA:FALSE\nkeyUsage = critical, digitalSignature",
            "extendedKeyUsage = serverAuth\nsubjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid",
            f"subjectAltName = {', '.join(alternative_names(names))}\n",
        ]
    )


class Certificate:
    """The authority and the certificate in a directory."""

    def __init__(self, directory: Path, names: list[str], group: str, valid_days: int, renew_days: int) -> None:
        self.names, self.group, self.valid_days, self.renew_days = names, group, valid_days, renew_days
        self.key, self.ca, self.server = (directory / name for name in ("ca.key", "ca.pem", "server.pem"))
        self.new = directory / ".new"

    @staticmethod
    def ask(*words: object) -> str:
        """Return what openssl answers, empty where it refuses."""
        done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else ""

    @staticmethod
    def tell(*words: object) -> None:
        """Have openssl do something that has to succeed."""
        done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True)
        if done.returncode != 0:
            raise OSError(f"openssl {words[0]}: {done.stderr.strip()}")

    def fits(self, certificate: Path, key: Path) -> bool:
        """Whether a certificate and a key belong together."""
        public = self.ask("pkey", "-in", key, "-pubout")
        return public != "" and public == self.ask("x509", "-in", certificate, "-noout", "-pubkey")

    def reason(self) -> str:
        """Why the certificate has to be made; empty where it is as it should be."""
        if not self.key.exists() or not self.ca.exists() or not self.fits(self.ca, self.key):
            return "there is no authority"
        if not self.server.exists() or not self.fits(self.server, self.server):
            return "there is no certificate"
        if not self.ask("verify", "-no-CApath", "-no-CAstore", "-CAfile", self.ca, self.server):
            return "the authority did not sign it, or it has ended"
        printed = self.ask("x509", "-in", self.server, "-noout", "-ext", "subjectAltName")
        if names_in(printed) != alternative_names(self.names):
            return "the names are others"
        if not self.ask("x509", "-in", self.server, "-noout", "-checkend", self.renew_days * 86400):
            return "it ends soon"
        return ""

    def make(self) -> None:
        """Make what is missing. Each file is put in place by a rename, the one that depends on others last."""
        shutil.rmtree(self.new, ignore_errors=True)  # of a run that was killed
        self.new.mkdir(mode=0o700)
        told = self.new / "openssl.cnf"
        told.write_text(configuration(self.names, socket.gethostname()))
        if not self.key.exists():
            self.make_key(self.new / "ca.key")
            (self.new / "ca.key").replace(self.key)
        if not self.ca.exists() or not self.fits(self.ca, self.key):
            made = ["req", "-x509", "-new", "-config", told, "-key", self.key, "-days", AUTHORITY_DAYS]
            self.tell(*made, "-out", self.new / "ca.pem")
            self.put(self.new / "ca.pem", self.ca)
        self.make_key(self.new / "key")
        self.tell("req", "-new", "-config", told, "-key", self.new / "key", "-out", self.new / "request")
        signed = ["x509", "-req", "-in", self.new / "request", "-CA", self.ca, "-CAkey", self.key]
        signed += ["-set_serial", f"0x{secrets.randbits(127):x}", "-extfile", told, "-extensions", "server"]
        self.tell(*signed, "-days", self.valid_days, "-out", self.new / "certificate")
        whole = self.new / "server.pem"
        whole.touch(mode=0o600)
        whole.write_text((self.new / "certificate").read_text() + (self.new / "key").read_text())
        self.put(whole, self.server)
        shutil.rmtree(self.new)

    def make_key(self, path: Path) -> None:
        """Make a key that only root reads."""
        path.touch(mode=0o600)
        self.tell("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)

    def put(self, path: Path, place: Path) -> None:
        """Put a finished file in its place, readable by whom it is for."""
        self.owned(path, place)
        path.replace(place)

    def wanted(self, place: Path) -> tuple[int, int]:
        """Return the mode and the group of a file."""
        if place == self.server:
            return 0o640, grp.getgrnam(self.group).gr_gid
        return (0o600 if place == self.key else 0o644), os.getegid()

    def owned(self, path: Path, place: Path) -> None:
        """Give a file the owner, group and mode of its place."""
        mode, group = self.wanted(place)
        os.chown(path, os.geteuid(), group)
        path.chmod(mode)

    def open_to_others(self) -> list[Path]:
        """Return the files that somebody else owns or may read than should."""
        found = []
        for path in (path for path in (self.key, self.ca, self.server) if path.exists()):
            status = path.stat()
            if (stat.S_IMODE(status.st_mode), status.st_gid) != self.wanted(path) or status.st_uid != os.geteuid():
                found.append(path)
        return found


def served(name: str, ca: Path, address: str, port: int) -> bytes:
    """Return the certificate that PostgreSQL serves, verified for a name as libpq does it, or raise OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca)
    with socket.create_connection((address, port), timeout=5) as plain:
        plain.sendall(SSL_REQUEST)
        if plain.recv(1) != b"S":
            raise OSError("PostgreSQL offers no TLS")
        with context.wrap_socket(plain, server_hostname=name) as secured:
            return secured.getpeercert(binary_form=True)


def look(certificate: Certificate, address: str, port: int) -> str:
    """Return what is wrong with what is served, empty where nothing is."""
    first = re.search(r"-+BEGIN C.+?-+END C[^\n]+", certificate.server.read_text(), re.S)
    expected = ssl.PEM_cert_to_DER_cert(first.group())
    for name in certificate.names:
        try:
            if served(name, certificate.ca, address, port) != expected:
                return f"another certificate than that of {certificate.server} is served"
        except OSError as error:
            return f"a client that calls the machine {name} gives up: {error}"
    return ""


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["made", "served"], "default": "made"},
            "group": {"type": "str", "default": "postgres"},
            "valid_days": {"type": "int", "default": 3650},
            "renew_days": {"type": "int", "default": 1095},
            "address": {"type": "str", "default": "127.0.0.1"},
            "port": {"type": "int", "default": 5432},
        },
        supports_check_mode=True,
    )
    params = {key: module.params[key] for key in ("names", "group", "valid_days", "renew_days")}
    certificate = Certificate(Path(module.params["directory"]), **params)
    if module.params["state"] == "served":
        address, port = module.params["address"], module.params["port"]
        until = time.monotonic() + 15  # a reload takes a moment
        while (problem := look(certificate, address, port)) and time.monotonic() < until:
            time.sleep(0.5)
        if problem:
            module.fail_json(msg=f"PostgreSQL at {address}, port {port}: {problem}. Its log says more.")
        module.exit_json(changed=False)
    reason, loose = certificate.reason(), certificate.open_to_others()
    if not module.check_mode:
        try:
            if reason:
                certificate.make()
            for path in certificate.open_to_others():
                certificate.owned(path, path)
        except OSError as error:
            module.fail_json(msg=f"No certificate could be made: {error}")
    module.exit_json(changed=bool(reason or loose), reason=reason)


if __name__ == "__main__":
    main()
