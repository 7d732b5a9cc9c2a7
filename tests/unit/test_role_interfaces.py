"""Defaults, argument specs and READMEs of every role say the same."""

from pathlib import Path

import pytest
import yaml

ROLES = sorted(path.parent for path in (Path(__file__).parents[2] / "roles").glob("*/defaults"))
TYPES = {"str": str, "int": int, "bool": bool, "list": list, "dict": dict}


def load(role, file):
    return yaml.safe_load((role / file).read_text()) or {}


@pytest.fixture(params=ROLES, ids=lambda role: role.name)
def role(request):
    return request.param


@pytest.fixture
def options(role):
    return load(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"]


def test_defaults_and_specs_agree(role, options):
    specified = {name: option["default"] for name, option in options.items() if "default" in option}
    assert load(role, "defaults/main.yml") == specified


def test_defaults_have_the_type_of_their_spec(options):
    for name, option in options.items():
        assert type(option.get("default")) in (TYPES[option["type"]], type(None)), name


def test_variables_are_named_for_their_role(role, options):
    assert [name for name in options if not name.startswith(f"{role.name}_")] == []
    assert [name for name in load(role, "vars/main.yml") if not name.startswith(f"__{role.name}_")] == []


def test_readme_lists_every_variable_with_type_default_and_sentence(role, options):
    readme = (role / "README.md").read_text()
    for name, option in options.items():
        kind = f"list of {option['elements']}" if option["type"] == "list" else option["type"]
        default = option.get("default")
        shown = f'"{default}"' if default == "" else str(default).lower() if isinstance(default, bool) else default
        assert f"| `{name}` | {kind} | `{shown}` | {option['description']} |" in readme


def test_every_variable_is_used(role, options):
    text = "".join(path.read_text() for part in ("tasks", "templates", "vars", "handlers") for path in role.glob(f"{part}/*"))
    assert [name for name in options if name not in text] == []
