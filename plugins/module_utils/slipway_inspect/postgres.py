"""What PostgreSQL has on the machine: the cluster that the app's database goes into, and the rules that are there."""

from __future__ import annotations

import re
from pathlib import Path

ETC = Path("/etc/postgresql")
FIRST = Path("/etc/postgresql-common/createcluster.d/slipway-first.conf")
RULES = ETC / "slipway-hba.d"
SANDBOX_OF_ALL = Path("/etc/systemd/system/postgresql@.service.d/10-slipway.conf")
MANAGED = "# Ansible managed"
BEGIN, END = "# BEGIN slipway", "# END slipway"
_SETTING = re.compile(r"^\s*([a-z][a-z0-9_.]*)\s*(?:=\s*|\s+)('(?:[^']|'')*'|[^\s#]+)", re.MULTILINE)


def read(path: Path) -> str:
    """A file's text; nothing where it cannot be read."""
    try:
        return path.read_text(errors="surrogateescape")
    except OSError:
        return ""


def settings(text: str) -> dict[str, str]:
    """The settings in the text of a configuration file, as they are written there; the last of a name counts."""
    return {name: value.strip("'").replace("''", "'") for name, value in _SETTING.findall(text)}


def settings_of(cluster: Path, own: bool) -> dict[str, str]:
    """The settings in the files of a cluster; those that this toolkit wrote only where ``own``."""
    found = settings(read(cluster / "postgresql.conf"))
    for file in sorted((cluster / "conf.d").glob("*.conf")):
        if own or file.name != "10-slipway.conf":
            found |= settings(read(file))
    data = found.get("data_directory", "")
    return found | (settings(read(Path(data) / "postgresql.auto.conf")) if data else {})


def without_ours(rules: str) -> str:
    """Somebody's pg_hba.conf without the block of this toolkit."""
    return re.sub(rf"^{BEGIN}\n.*?^{END}\n", "", rules, flags=re.MULTILINE | re.DOTALL)


def kind_of(cluster: Path) -> str:
    """Whose a cluster is: new, where there is none; ours, where this toolkit made it; shared, where somebody else did.

    One that is just being made, by a run that was killed, is ours too.
    """
    if not (cluster / "postgresql.conf").exists():
        return "new"
    lines = read(cluster / "pg_hba.conf").splitlines() or [""]
    whole = lines[0].startswith(MANAGED) and lines[-1].split() == ["host", "all", "all", "all", "reject"]
    return "ours" if whole or FIRST.exists() else "shared"


def number(text: str, default: int) -> int:
    """A setting that is a number."""
    return int(text) if text.isdigit() else default


def other_clusters(port: int, version: str) -> list[str]:
    """The clusters but the version's "main" that are configured for a port, also those that do not run."""
    files = sorted(ETC.glob("*/*/postgresql.conf"))
    return [
        f"{file.parts[-3]}/{file.parts[-2]}"
        for file in files
        if file.parts[-3:-1] != (version, "main")
        and number(settings_of(file.parent, own=True).get("port", ""), 5432) == port
    ]


def facts(version: str, role: str) -> dict:
    """What is there of the version's cluster "main", and what the other apps ask for: see the module's RETURN."""
    cluster = ETC / version / "main"
    kind = kind_of(cluster)
    configured = settings_of(cluster, own=True)
    theirs = settings_of(cluster, own=False)
    return {
        "cluster": kind,
        "port": number(configured.get("port", ""), 5432),
        "port_before": number(theirs.get("port", ""), 5432),
        "max_connections": number(theirs.get("max_connections", ""), 100),
        "listen_addresses": theirs.get("listen_addresses", "localhost"),
        "libraries": theirs.get("shared_preload_libraries", ""),
        "sandbox_of_all": SANDBOX_OF_ALL.exists(),
        "rules": without_ours(read(cluster / "pg_hba.conf")) if kind == "shared" else "",
        # As grep would print them: a path, a colon and a line each.
        "fragments": [
            f"{file}:{line}"
            for file in sorted(RULES.glob("*.conf"))
            if file.name != f"50-{role}.conf"
            for line in read(file).splitlines()
        ],
    }
