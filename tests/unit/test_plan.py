"""Reading an app's directory: what a release runs, and each refusal by name."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from ansible.module_utils.slipway_app import plan
from ansible.module_utils.slipway_app.errors import AppError

APP = {"wsgi.py": "app = 1\n", "requirements.txt": "flask\n"}
UNSET = {"wsgi": None, "processes": None, "migrate_command": None, "static": None, "scheduled": {}}


@pytest.fixture
def make(tree):
    """Plan the release of an app with these files and settings."""

    def planned(files: dict[str, str | bytes], **settings: object) -> dict:
        return plan.make(tree(files), {**UNSET, **settings})

    return planned


def test_app_without_a_procfile_is_gunicorn_on_wsgi_app(make):
    made = make(APP)
    assert made["web"] == 'exec gunicorn --threads "$GUNICORN_THREADS" wsgi:app'
    assert (made["wsgi"], made["processes"], made["migrate"], made["static"]) == ("wsgi:app", {}, "", [])


def test_procfile_says_what_runs(make):
    procfile = "web: gunicorn wsgi:app -w 2\nrelease: flask init\nworker: python work.py\nclock: flask tick; sleep 60\n"
    made = make({**APP, "Procfile": procfile})
    assert made["web"] == "exec gunicorn wsgi:app -w 2"
    assert made["migrate"] == "flask init"
    assert made["processes"] == {"worker": "exec python work.py", "clock": "flask tick; exec sleep 60"}


def test_inventory_goes_before_the_procfile(make):
    files = {**APP, "hello.py": "def create_app(): pass\n", "Procfile": "web: uwsgi x\nrelease: a\nworker: b\n"}
    made = make(files, wsgi="hello:create_app()", processes={"clock": "c"}, migrate_command="m", static=[])
    assert made["web"] == "exec gunicorn --threads \"$GUNICORN_THREADS\" 'hello:create_app()'"
    assert (made["processes"], made["migrate"]) == ({"clock": "exec c"}, "m")


def test_a_byte_order_mark_is_no_part_of_a_name(make):
    assert make({**APP, "Procfile": b"\xef\xbb\xbfweb: gunicorn wsgi:app\r\n"})["web"] == "exec gunicorn wsgi:app"


def test_empty_values_mean_none_and_not_the_procfiles(make):
    made = make(
        {**APP, "Procfile": "web: gunicorn wsgi:app\nrelease: a\nworker: b\n"}, processes={}, migrate_command=""
    )
    assert (made["processes"], made["migrate"]) == ({}, "")


def test_migrations_directory_means_flask_db_upgrade(make):
    assert make({**APP, "migrations/env.py": ""})["migrate"] == "flask db upgrade"


@pytest.mark.parametrize(
    ("files", "settings", "message"),
    [
        ({"requirements.txt": ""}, {}, "^app_wsgi: there is no module 'wsgi' in .*wsgi.py.*Expected: module:callable"),
        (APP, {"wsgi": "hello:app"}, "^app_wsgi: there is no module 'hello'.*Expected: module:callable"),
        (
            APP,
            {"wsgi": "wsgi:other"},
            "^app_wsgi: wsgi.py defines no 'other'.*There is wsgi:app.*Expected: module:callable",
        ),
        (
            {"requirements.txt": "", "main.py": "def create_app(): ...", "shop/__init__.py": "application = 1"},
            {},
            r"^app_wsgi: there is no module 'wsgi'.*There is main:create_app\(\) and shop:application\.",
        ),
        (APP | {"Procfile": b"web: gunicorn wsgi:app \xe9"}, {}, "^app_source: Procfile is not text in UTF-8 .byte 24"),
        (APP, {"wsgi": "wsgi.app()"}, "^app_wsgi: 'wsgi.app.*names no WSGI application.*Expected: module:callable"),
        (APP, {"wsgi": "wsgi:app; rm -rf /"}, "^app_wsgi: .*names no WSGI application"),
        ({"wsgi.py": "app = 1"}, {}, "^app_source: .* says nowhere what the app depends on.*a requirements.txt"),
        (
            {**APP, "requirements.txt": "-r base.txt"},
            {},
            "^app_source: requirements.txt includes base.txt, which is not",
        ),
        (
            {**APP, "Procfile": "web: uwsgi x"},
            {},
            "^app_wsgi: the Procfile's web line, 'uwsgi x', does not start gunicorn",
        ),
        (
            {**APP, "Procfile": "web: gunicorn hello:app"},
            {},
            "^app_source .its Procfile's web line.: there is no module",
        ),
        ({**APP, "Procfile": "gunicorn"}, {}, "Procfile, line 1.*Expected: name: command"),
        (APP, {"processes": {"Worker!": "a"}}, "^app_processes: 'Worker!' cannot name a process.*Expected: .a-z"),
        (APP, {"processes": {"web": "a"}}, "^app_processes: 'web' cannot name a process"),
        (APP, {"processes": {"release": "a"}}, "^app_processes: 'release' cannot name a process"),
        (APP, {"processes": {"deploy": "a"}}, "^app_processes: 'deploy' cannot name a process"),
        (APP, {"processes": {"worker": "echo 'a"}}, "is no shell command"),
        (
            APP,
            {"static": [{"url": "/static/", "path": "nowhere"}]},
            "^app_static: there is no directory 'nowhere'.*url:",
        ),
        (APP, {"static": [{"url": "/static/"}]}, "^app_static: .*Expected: .*url: /static/"),
        (APP, {"static": [{"url": "/static/", "path": "../.."}]}, "^app_static: "),
        ({**APP, ".python-version": "pypy"}, {}, "^app_source: .python-version asks for 'pypy'.*Expected: a version"),
        ({**APP, "runtime.txt": "python-3"}, {}, "^app_source: runtime.txt asks for 'python-3'.*Expected: a version"),
    ],
)
def test_refusal_names_the_variable_and_the_expected_form(make, files, settings, message):
    with pytest.raises(AppError, match=message):
        make(files, **settings)


def test_empty_directory_is_refused(make):
    with pytest.raises(AppError, match="^app_source: .*has no files to deploy"):
        make({})


@pytest.mark.parametrize(
    ("name", "content", "asked"),
    [
        (".python-version", "3.11\n", "3.11"),
        (".python-version", "# ours\n\n3.13.2\n", "3.13"),
        (".python-version", "cpython-3.12", "3.12"),
        ("runtime.txt", "python-3.11.9\n", "3.11"),
    ],
)
def test_python_that_the_app_asks_for(make, name, content, asked):
    made = make({**APP, name: content})
    assert (made["python"], made["python_file"]) == (asked, name)


def test_any_python_where_the_app_does_not_ask(make):
    assert make(APP)["python"] == ""


@pytest.mark.parametrize(
    ("files", "kind", "inputs"),
    [
        ({"requirements.txt": ""}, "requirements", ["requirements.txt"]),
        ({"requirements.txt": "", "pyproject.toml": ""}, "requirements", ["requirements.txt", "pyproject.toml"]),
        ({"pyproject.toml": ""}, "pyproject", ["pyproject.toml"]),
        ({"uv.lock": "", "pyproject.toml": "", "requirements.txt": ""}, "uv.lock", ["pyproject.toml", "uv.lock"]),
        ({"uv.lock": "", "requirements.txt": ""}, "requirements", ["requirements.txt"]),
        (
            {
                "requirements.txt": "-r req/a.txt\n-c limits.txt",
                "req/a.txt": "--requirement=b.txt",
                "req/b.txt": "",
                "limits.txt": "",
            },
            "requirements",
            ["requirements.txt", "req/a.txt", "req/b.txt", "limits.txt"],
        ),
        (
            {"requirements.txt": "-r a.txt", "a.txt": "-r requirements.txt"},
            "requirements",
            ["requirements.txt", "a.txt"],
        ),
    ],
)
def test_kinds_of_requirements(tree, files, kind, inputs):
    found = plan.requirements(tree(files))
    assert (found["kind"], found["inputs"]) == (kind, inputs)


def test_src_layout(make):
    made = make({"src/shop/__init__.py": "def create_app(): pass", "pyproject.toml": ""}, wsgi="shop:create_app()")
    assert made["roots"] == [".", "src"]


@pytest.mark.parametrize("option", ["--chdir backend", "--chdir=backend", "--pythonpath backend"])
def test_module_in_the_directory_that_the_procfile_names(make, option):
    files = {"backend/main.py": "app = 1", "requirements.txt": "", "Procfile": f"web: gunicorn {option} main:app"}
    assert make(files)["roots"][0] == "backend"


@pytest.mark.parametrize(
    "content",
    [
        "app = 1",
        "def app(environ, start): pass",
        "class app: pass",
        "from shop import app",
        "from shop import create as app",
        "import app",
        "from shop import *",
        "try:\n    app = 1\nexcept Exception:\n    app = 2",
        "if True:\n    app = 1",
        "app: object = make()",
        "with open('x') as app: pass",
        "globals()['app'] = 1",
        "def syntax error",
    ],
)
def test_ways_to_define_the_application(make, content):
    assert make({"wsgi.py": content, "requirements.txt": ""})["wsgi"] == "wsgi:app"


def test_name_inside_a_function_is_no_application(make):
    with pytest.raises(AppError, match="wsgi.py defines no 'app'"):
        make({"wsgi.py": "def make():\n    app = 1\n", "requirements.txt": ""})


@pytest.mark.parametrize(
    ("files", "wsgi", "path"),
    [
        ({"wsgi.py": "app = 1", "static/a.css": ""}, "wsgi:app", "static"),
        ({"shop/__init__.py": "app = 1", "shop/static/a.css": ""}, "shop:app", "shop/static"),
        ({"wsgi.py": "app = 1", "shop/__init__.py": "", "shop/static/a.css": ""}, "wsgi:app", "shop/static"),
        ({"src/shop/__init__.py": "app = 1", "src/shop/static/a.css": ""}, "shop:app", "src/shop/static"),
    ],
)
def test_static_directory_of_flask(make, files, wsgi, path):
    assert make({**files, "requirements.txt": ""}, wsgi=wsgi)["static"] == [{"url": "/static/", "path": path}]


@pytest.mark.parametrize(
    "files",
    [
        {"docs/static/a.css": ""},
        {"tests/__init__.py": "", "tests/static/a.css": ""},
        {"a/__init__.py": "", "a/static/x": "", "b/__init__.py": "", "b/static/x": ""},
    ],
    ids=["no package", "tests", "two packages"],
)
def test_no_static_directory_where_it_is_not_clear(make, files):
    assert make({**APP, **files})["static"] == []


def test_plan_of_the_same_files_is_the_same(make):
    assert make(APP) == make(APP)


@pytest.mark.parametrize("place", [".cache/slipway/src", "tests/apps"])
def test_static_directory_wherever_the_app_itself_is(tree, place):
    """A git source is exported below ~/.cache: where the app is says nothing about its static directory."""
    path = tree({**APP, "static/a.css": ""}, name_below(tree, place))
    assert plan.make(path, UNSET)["static"] == [{"url": "/static/", "path": "static"}]


def name_below(tree, place: str) -> str:
    """Return the name of an app in a directory of this name."""
    tree({f"{place}/.keep": ""}, ".")
    return f"{place}/app"


def test_scheduled_processes(make):
    entry = {"schedule": "30 3 * * *", "command": "flask cleanup"}
    made = make(APP, scheduled={"cleanup": entry})
    assert made["scheduled"] == {"cleanup": {"command": "exec flask cleanup", "calendars": ["*-*-* 03:30:00"]}}


@pytest.mark.parametrize(
    "scheduled",
    [
        {"Clean Up": {"schedule": "@daily", "command": "x"}},
        {"cleanup": "@daily"},
        {"cleanup": {"schedule": "@daily"}},
        {"cleanup": {"schedule": "often", "command": "x"}},
    ],
)
def test_scheduled_process_that_is_none_is_refused(make, scheduled):
    with pytest.raises(AppError) as refused:
        make(APP, scheduled=scheduled)
    assert refused.value.variable == "app_scheduled"


@pytest.mark.parametrize(
    ("project", "requires", "allowed"),
    [
        ('[project]\nname = "x"\nrequires-python = ">=3.11"\n', ">=3.11", True),
        ('[project]\nname = "x"\nrequires-python = ">=3.12,<4"\n', "<4,>=3.12", False),
        ('[project]\nname = "x"\nrequires-python = ">=3.11.4"\n', ">=3.11.4", False),
        ('[project]\nname = "x"\nrequires-python = "~=3.11"\n', "~=3.11", True),
        ('[project]\nname = "x"\n', "", True),
        ("[tool.ruff]\n", "", True),
    ],
)
def test_the_pythons_that_a_project_allows(make, project, requires, allowed):
    files = {"wsgi.py": "app = 1", "requirements.txt": "flask", "pyproject.toml": project}
    assert make(files)["requires_python"] == requires
    test = runpy.run_path(Path(__file__).parents[2] / "roles/app/test_plugins/app_python.py")["app_python_allowed"]
    assert test("3.11.2", requires) is allowed


@pytest.mark.parametrize("project", ["not toml", '[project]\nrequires-python = "three"\n'])
def test_a_project_that_cannot_be_read_is_refused(make, project):
    with pytest.raises(AppError, match="pyproject.toml cannot be read"):
        make({"wsgi.py": "app = 1", "requirements.txt": "flask", "pyproject.toml": project})
