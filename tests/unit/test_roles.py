"""Each role says the same in its defaults, its argument spec and its README, and every name is used and exists."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if (path / "tasks").is_dir())


class Loader(yaml.SafeLoader):
    """Reads !vault and !unsafe as plain text."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: loader.construct_scalar(node))


def read(path: Path) -> object:
    """Return a YAML file's content."""
    return yaml.load(path.read_text(), Loader) or {}


def defaults(role: str) -> dict:
    """Return a role's defaults."""
    return read(ROOT / "roles" / role / "defaults/main.yml")


def options(role: str) -> dict:
    """Return what a role's argument spec says of each variable."""
    return read(ROOT / "roles" / role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]


def tidy(value: object) -> object:
    """Blanks around and inside a long template mean nothing."""
    return " ".join(value.split()) if isinstance(value, str) else value


def row(name: str, option: dict) -> tuple[str, str, str, str]:
    """Return a variable's line of a README table."""
    kind = f"list of {option['elements']}" if option["type"] == "list" else option["type"]
    value = option.get("default")
    if value is None:
        shown = "required" if option.get("required") else "unset"
    else:
        text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
        shown = "`" + tidy(text).replace("|", "\\|") + "`"
    meaning = tidy(option["description"]).replace("|", "\\|")
    if "choices" in option:
        meaning += " One of " + ", ".join(f"`{choice}`" for choice in option["choices"]) + "."
    return name, kind, shown, meaning


def table(role: str) -> str:
    """Return the variable table that belongs into a role's README."""
    lines = ["| name | type | default | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{name}` | {kind} | {shown} | {meaning} |"
        for name, kind, shown, meaning in (row(*item) for item in options(role).items())
    ]
    return "\n".join(lines)


def text_of(role: str, *directories: str) -> str:
    """Return all text in some directories of a role."""
    files = [
        file for name in directories for file in sorted((ROOT / "roles" / role / name).rglob("*")) if file.is_file()
    ]
    return "\n".join(file.read_text() for file in files if "__pycache__" not in file.parts)


@pytest.mark.parametrize("role", ROLES)
def test_spec_and_defaults_name_the_same_variables(role):
    without_default = {name for name, option in options(role).items() if option.get("required")}
    assert set(options(role)) - without_default == set(defaults(role))


@pytest.mark.parametrize("role", ROLES)
def test_spec_and_defaults_have_equal_defaults(role):
    given = {name: tidy(value) for name, value in defaults(role).items()}
    said = {name: tidy(option.get("default")) for name, option in options(role).items() if not option.get("required")}
    assert said == given


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_has_a_type_and_a_sentence(role):
    for name, option in options(role).items():
        assert option.get("type"), name
        assert option["type"] != "list" or option.get("elements"), f"{name}: elements"
        assert re.match(r"^[A-Z].*[.]$", tidy(option["description"])), f"{name}: not a sentence"


@pytest.mark.parametrize("role", ROLES)
def test_readme_has_the_table_of_the_spec(role):
    readme = (ROOT / "roles" / role / "README.md").read_text()
    assert table(role) in readme, f"roles/{role}/README.md should have this table:\n\n{table(role)}\n"


@pytest.mark.parametrize("role", ROLES)
def test_readme_mentions_no_variable_that_does_not_exist(role):
    named = set(re.findall(rf"\b{role}_[a-z_]+\b", (ROOT / "roles" / role / "README.md").read_text()))
    modules = {file.stem for file in (ROOT / "roles" / role).glob("*/*.py")}
    assert named - modules <= set(options(role))


@pytest.mark.parametrize("role", ROLES)
def test_variables_carry_the_roles_name(role):
    assert all(name.startswith(f"{role}_") for name in defaults(role))
    internal = (
        set(read(ROOT / "roles" / role / "vars/main.yml"))
        if (ROOT / "roles" / role / "vars/main.yml").exists()
        else set()
    )
    assert all(name.startswith(f"__{role}_") for name in internal)


@pytest.mark.parametrize("role", ROLES)
def test_every_default_is_used(role):
    used = text_of(role, "tasks", "templates", "vars", "handlers")
    others = {name: str(value) for name, value in defaults(role).items()}
    unused = [
        name
        for name in others
        if not re.search(rf"\b{name}\b", used + "\n".join(value for key, value in others.items() if key != name))
    ]
    assert not unused


@pytest.mark.parametrize("role", ROLES)
def test_no_role_reads_another_roles_variables(role):
    text = re.sub(r"(?m)^\s*#.*$", "", text_of(role, "tasks", "templates", "vars", "handlers", "defaults"))
    foreign = {name for other in ROLES if other != role for name in defaults(other)}
    assert not [name for name in foreign if re.search(rf"(?<![\w.]){name}\b", text)]


@pytest.mark.parametrize(
    "file", sorted((ROOT / "roles").glob("*/tasks/*.yml")), ids=lambda file: str(file.relative_to(ROOT))
)
def test_no_task_file_over_100_lines(file):
    assert len(file.read_text().splitlines()) <= 100


def names_set(content: object) -> set[str]:
    """Return all keys of a YAML file, at any depth."""
    if isinstance(content, dict):
        return set(map(str, content)) | {name for value in content.values() for name in names_set(value)}
    if isinstance(content, list):
        return {name for value in content for name in names_set(value)}
    return set()


@pytest.mark.parametrize(
    "file",
    sorted(file for top in ("inventory", "molecule", "playbooks") for file in (ROOT / top).rglob("*.yml")),
    ids=lambda file: str(file.relative_to(ROOT)),
)
def test_every_interface_name_that_is_set_exists(file):
    """A misspelt variable is one that no role has: Ansible itself would not tell."""
    if file.read_text().startswith("$ANSIBLE_VAULT"):
        pytest.skip("encrypted")
    known = {name for role in ROLES for name in options(role)} | modules()
    for name in names_set(read(file)):
        role = name.split("_", 1)[0]
        if "_" in name and role in ROLES and "." not in name:
            assert name in known, f"{name}: no such variable of the role {role}"


def modules() -> set[str]:
    """Return the names of the project's own modules and action plugins, which tasks use as keys."""
    places = ("plugins/modules", "plugins/action", "roles/*/library", "roles/*/action_plugins")
    return {file.stem for place in places for file in ROOT.glob(f"{place}/*.py")}
