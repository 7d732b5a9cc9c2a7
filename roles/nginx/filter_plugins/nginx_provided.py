"""The filter that judges a provided certificate and its key, on the control node and before they go to a machine."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key


def _names(certificate: x509.Certificate) -> list[str]:
    """Return the names and addresses that browsers accept the certificate for; its common name is none of them."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [
        *(name.lower() for name in names.get_values_for_type(x509.DNSName)),
        *map(str, names.get_values_for_type(x509.IPAddress)),
    ]


def _covers(names: list[str], wanted: str) -> bool:
    """Tell whether one of the names is the wanted one; a star stands for one label."""
    try:
        return str(ip_address(wanted)) in names
    except ValueError:
        name = wanted.lower().rstrip(".")
    return name in names or "*." + name.partition(".")[2] in names


def _public(key: object) -> bytes:
    """Return a public key as bytes that can be compared."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _key_faults(chain: list[x509.Certificate], key: str) -> list[str]:
    """Say what is wrong with the key; nothing of it is in the words."""
    try:
        public = _public(load_pem_private_key(key.encode(), password=None).public_key())
    except TypeError:
        return ["the key is locked by a passphrase, which nobody types when nginx starts (openssl pkey unlocks it)"]
    except Exception:  # of many kinds; what they say could have the key in it
        return ["the key's file has no private key in PEM form that can be read"]
    if public == _public(chain[0].public_key()):
        return []
    if any(public == _public(certificate.public_key()) for certificate in chain[1:]):
        return ["the key belongs to a later certificate of the file: the server's own must be the first"]
    return ["key and certificate do not belong together"]


def _certificate_faults(chain: list[x509.Certificate], names: Iterable[str], now: datetime) -> list[str]:
    """Say what browsers or OpenSSL would refuse about the server's certificate and the order of its chain."""
    own, faults = chain[0], []
    if own.not_valid_after_utc <= now:
        faults.append(f"the certificate has expired on {own.not_valid_after_utc:%Y-%m-%d}")
    if own.not_valid_before_utc > now:
        faults.append(f"the certificate is not valid before {own.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")
    has = _names(own)
    lacks = [name for name in names if not _covers(has, name)]
    if lacks:
        faults.append(f"the certificate is for {', '.join(has) or 'no name at all'}, and not for {', '.join(lacks)}")
    if isinstance(own.public_key(), RSAPublicKey) and own.public_key().key_size < 2048:
        faults.append(f"its RSA key has {own.public_key().key_size} bits, and 2048 are the least that is accepted")
    if own.signature_hash_algorithm is not None and own.signature_hash_algorithm.name in ("md5", "sha1"):
        faults.append(f"it is signed with {own.signature_hash_algorithm.name.upper()}, which is no longer accepted")
    for one, issuer in zip(chain, chain[1:], strict=False):
        if one.issuer != issuer.subject:
            wanted, found = one.issuer.rfc4514_string(), issuer.subject.rfc4514_string()
            faults.append(
                f"the chain is out of order: after {one.subject.rfc4514_string()} must come {wanted}, not {found}"
            )
            break
    return faults


def nginx_provided(certificate: str, key: str = "", names: Iterable[str] = ()) -> dict:
    """Return what is wrong with a certificate (PEM, with its chain) and its key for a site's names.

    ``faults`` is a list of sentences. ``self_signed`` tells that no authority stands behind it, ``days`` how long it
    is valid still.
    """
    now = datetime.now(UTC)
    try:
        chain = x509.load_pem_x509_certificates(certificate.encode())
    except ValueError:
        return {"faults": ["the certificate's file has no certificate in PEM form"], "self_signed": False, "days": 0}
    return {
        "faults": (_key_faults(chain, key) if key else []) + _certificate_faults(chain, names, now),
        "self_signed": chain[0].issuer == chain[0].subject,
        "days": (chain[0].not_valid_after_utc - now).days,
    }


class FilterModule:
    """What Ansible asks a file of filters for."""

    def filters(self) -> dict:
        """Return the filters by name."""
        return {"nginx_provided": nginx_provided}
