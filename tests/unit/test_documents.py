"""Runbooks, the workflow and the README speak of what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RUNBOOKS = sorted((ROOT / "docs/runbooks").glob("*.md"))
DOCUMENTS = [*RUNBOOKS, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "docs/architecture.md"))]
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


def test_the_workflow_runs_every_scenario() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
    matrix = workflow["jobs"]["scenarios"]["strategy"]["matrix"]["scenario"]
    assert sorted(matrix) == sorted(file.parent.name for file in ROOT.glob("molecule/*/molecule.yml"))
