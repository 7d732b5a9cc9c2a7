"""Certificates to try: ``python certificates.py DIRECTORY`` writes an authority, and what it and others have issued."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

NOW = datetime.now(UTC)


def pem(key: object, passphrase: bytes | None = None) -> str:
    """Return a private key as text."""
    lock = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    return key.private_bytes(*form, lock).decode()


class Pair:
    """A certificate and its key, issued by another pair or by itself."""

    def __init__(
        self,
        name: str,
        issuer: Pair | None = None,
        names: tuple[str, ...] = (),
        bits: int = 0,
        days: tuple[int, int] = (-1, 30),
        authority: bool = False,
    ) -> None:
        self.key = rsa.generate_private_key(65537, bits) if bits else ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.subject)
            .issuer_name(issuer.subject if issuer else self.subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + timedelta(days=days[0]))
            .not_valid_after(NOW + timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(one) for one in names]), False)
        self.certificate = builder.sign((issuer or self).key, hashes.SHA256())
        self.text = self.certificate.public_bytes(serialization.Encoding.PEM).decode()


def _general(name: str) -> x509.GeneralName:
    """Return a name or an address as a certificate holds it."""
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def write(directory: Path, names: tuple[str, ...] = ("shop.example", "*.shop.example")) -> None:
    """Write each pair as NAME.pem and NAME.key, and the authority that clients trust as ca.pem."""
    root = Pair("Test root", authority=True)
    middle = Pair("Test intermediate", root, authority=True)
    issued = {
        "ecdsa": Pair("ecdsa", middle, names),
        "rsa2048": Pair("rsa2048", middle, names, bits=2048),
        "rsa4096": Pair("rsa4096", middle, names, bits=4096),
        "rsa1024": Pair("rsa1024", middle, names, bits=1024),
        "expired": Pair("expired", middle, names, days=(-30, -1)),
        "early": Pair("early", middle, names, days=(1, 30)),
        "other-name": Pair("other-name", middle, ("other.example", "192.0.2.7")),
    }
    files = {f"{name}.pem": pair.text + middle.text for name, pair in issued.items()}
    files |= {f"{name}.key": pem(pair.key) for name, pair in issued.items()}
    alone = Pair("shop.example", names=names)
    files |= {"self-signed.pem": alone.text, "self-signed.key": pem(alone.key), "ca.pem": root.text}
    files["chain-first.pem"] = middle.text + issued["ecdsa"].text
    files["chain-order.pem"] = issued["ecdsa"].text + root.text + middle.text
    files["locked.key"] = pem(issued["ecdsa"].key, b"passphrase")
    for name, text in files.items():
        (directory / name).write_text(text)
        (directory / name).chmod(0o600)


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(exist_ok=True)
    write(Path(sys.argv[1]))
