"""Runbooks, the workflow and the README speak of what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from .conftest import load

ROOT = Path(__file__).parents[2]
RUNBOOKS = sorted((ROOT / "docs/runbooks").glob("*.md"))
DOCUMENTS = [*RUNBOOKS, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "docs/architecture.md"))]
runbook = load("molecule/runbooks/runbook.py")
HEADINGS = ["When", "Before you start", "Do", "Check", "If it goes wrong"]


@pytest.mark.parametrize("file", RUNBOOKS, ids=lambda file: file.stem)
def test_a_runbook_has_the_five_headings(file: Path) -> None:
    assert re.findall(r"^## (.+)$", file.read_text(), re.M) == HEADINGS


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_what_a_document_names_is_there(file: Path) -> None:
    text = file.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (file.parent / link).exists()] == []
    named = set(re.findall(r"\b((?:playbooks|scripts|roles|docs|molecule|inventory)/[\w./-]+\w)", text))
    # Made by the first run, kept out of git.
    named = {name for name in named if "vault" not in Path(name).name}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
    makes = set(re.findall(r"\bmake ([a-z-]+)", " ".join(re.findall(r"`[^`]*`|^ {4}.*$", text, re.M))))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert makes <= targets


def test_each_playbook_is_in_a_runbook() -> None:
    said = "\n".join(file.read_text() for file in RUNBOOKS)
    operations = {file.name for file in (ROOT / "playbooks").glob("*.yml")}
    assert [name for name in sorted(operations) if f"playbooks/{name}" not in said] == []


@pytest.mark.parametrize("file", RUNBOOKS, ids=lambda file: file.stem)
def test_every_block_of_a_runbook_can_be_done(file: Path) -> None:
    found = runbook.blocks(file.read_text())
    assert len(found) * 2 == len(re.findall(r"^ *```", file.read_text(), re.M))
    for block in found:
        if block.language in runbook.HEADS:
            assert (ROOT / block.place).is_file() or block.place.endswith("/vault.yml"), block
        else:
            assert (block.language, block.place) in {("sh", ""), ("sh", "machine"), ("text", "")}, block


def test_every_runbook_is_done_by_a_scenario() -> None:
    done = {"add-a-machine"}  # by one that has several machines
    for file in (ROOT / "molecule/runbooks").rglob("*.yml"):
        done |= set(re.findall(r"vars: \{page: ([a-z-]+)\}", file.read_text()))
    assert sorted(done) == [file.stem for file in RUNBOOKS]


def test_a_runbooks_blocks_are_read_as_a_person_reads_them() -> None:
    page = "1. Do\n   ```sh machine\n   ls APP\n     APP.x MAPP\n   ```\n```yaml a/b.yml\nx: YOU\n```\n"
    first, second = runbook.blocks(page)
    assert first == ("sh", "machine", "ls APP\n  APP.x MAPP\n")
    assert runbook.put_in(first.text, {"APP": "shop", "APP.x": "y"}) == "ls shop\n  y MAPP\n"
    assert second == ("yaml", "a/b.yml", "x: YOU\n")


def test_an_edit_replaces_what_has_the_same_name() -> None:
    old = "---\n# why\na: 1\nb:\n  - x\n# b: 2\nc: 3\n"
    assert runbook.edited(old, "b:\n  - y\nd: 4\n", runbook.HEADS["yaml"]) == (
        "---\n# why\na: 1\n# b: 2\nc: 3\nb:\n  - y\nd: 4\n"
    )
    assert runbook.edited("[web]\nold\n\n[db]\nx\n", "[web]\nnew\n", runbook.HEADS["ini"]) == "[db]\nx\n[web]\nnew\n"


def test_the_workflow_runs_every_scenario() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
    matrix = workflow["jobs"]["scenarios"]["strategy"]["matrix"]["scenario"]
    assert sorted(matrix) == sorted(file.parent.name for file in ROOT.glob("molecule/*/molecule.yml"))
