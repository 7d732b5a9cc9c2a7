"""requirements.yml names the collections that the locked package "ansible" carries, and all that are used."""

from __future__ import annotations

import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COLLECTIONS = yaml.safe_load((ROOT / "requirements.yml").read_text())["collections"]


@pytest.mark.parametrize("collection", COLLECTIONS, ids=lambda entry: entry["name"])
def test_a_collections_range_ends_at_the_locked_versions(collection: dict) -> None:
    found = find_spec("ansible_collections")
    namespace, name = collection["name"].split(".")
    manifest = Path(found.submodule_search_locations[0]) / namespace / name / "MANIFEST.json"
    locked = json.loads(manifest.read_text())["collection_info"]["version"]
    low, high = re.fullmatch(r">=(\S+),<=(\S+)", collection["version"]).groups()
    assert locked == (low if sys.version_info < (3, 12) else high)


def test_every_collection_in_use_is_named() -> None:
    text = "\n".join(
        file.read_text() for top in ("roles", "playbooks", "molecule") for file in (ROOT / top).rglob("*.yml")
    )
    used = set(re.findall(r"^\s*(?:- )?([a-z]+\.[a-z]+)\.[a-z_]+:", text, re.M))
    assert used - {"ansible.builtin"} <= {entry["name"] for entry in COLLECTIONS}
