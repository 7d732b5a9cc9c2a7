"""What is shipped: for which platform, under which digest, with scripts that run wherever they are unpacked."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from ansible.module_utils.slipway_app import bundle, sandbox, source
from ansible.module_utils.slipway_app.errors import AppError

from .conftest import load

GUNICORN = Path(__file__).parents[2] / "roles/app/files/gunicorn.txt"
UV = str(Path(sys.executable).parent / "uv")


@pytest.fixture
def planned(tree):
    """The part of a plan that says what an app depends on."""

    def plan(files: dict[str, str], kind: str = "requirements", name: str = "app") -> dict:
        path = tree(files, name)
        return {"path": str(path), "requirements": {"kind": kind, "inputs": sorted(files)}}

    return plan


@pytest.mark.parametrize(
    ("line", "scheme"),
    [
        ("psycopg", "postgresql+psycopg"),
        ("psycopg[binary]>=3.2", "postgresql+psycopg"),
        ("Psycopg[binary,pool]==3.2.1", "postgresql+psycopg"),
        ("psycopg ; python_version > '3'", "postgresql+psycopg"),
        ("psycopg2==2.9.9", "postgresql+psycopg2"),
        ("psycopg2-binary", "postgresql+psycopg2"),
        ("psycopg2-binary\npsycopg", "postgresql+psycopg2"),
        ("pg8000", "postgresql+pg8000"),
        ("psycopg-pool", "postgresql"),
        ("flask", "postgresql"),
        ("# psycopg", "postgresql"),
    ],
)
def test_scheme_follows_the_driver(planned, line, scheme):
    assert bundle.drivers_scheme(planned({"requirements.txt": f"flask\n{line}\n"})) == scheme


def test_scheme_from_a_pyproject(planned):
    content = '[project]\ndependencies = [\n  "flask",\n  "psycopg[binary]>=3.2",\n]\n'
    assert bundle.drivers_scheme(planned({"pyproject.toml": content}, "pyproject")) == "postgresql+psycopg"


@pytest.mark.parametrize(
    ("architecture", "version", "platform"),
    [
        ("x86_64", "12", "x86_64-manylinux_2_36"),
        ("amd64", "13.1", "x86_64-manylinux_2_40"),
        ("aarch64", "12.9", "aarch64-manylinux_2_36"),
        ("arm64", "13", "aarch64-manylinux_2_40"),
    ],
)
def test_platform_of_a_machine(architecture, version, platform):
    assert bundle.platform(architecture, version) == platform


@pytest.mark.parametrize(("architecture", "version"), [("armv7l", "12"), ("x86_64", "11"), ("x86_64", "24.04")])
def test_machine_without_a_platform_is_refused(architecture, version):
    with pytest.raises(AppError, match=f"no platform is known for Debian {version} on {architecture}"):
        bundle.platform(architecture, version)


def test_digest_of_dependencies_is_stable_and_does_not_depend_on_the_place(planned):
    one, two = (planned({"requirements.txt": "flask\n"}, name=name) for name in ("one", "two"))
    arguments = ("3.11", "x86_64-manylinux_2_36", GUNICORN)
    assert bundle.dependencies_digest(one, *arguments) == bundle.dependencies_digest(two, *arguments)


def test_digest_of_dependencies_follows_what_decides_about_them(planned):
    flask = planned({"requirements.txt": "flask\n"}, name="one")
    other = planned({"requirements.txt": "flask==3\n"}, name="two")
    digests = {
        bundle.dependencies_digest(flask, "3.11", "x86_64-manylinux_2_36", GUNICORN),
        bundle.dependencies_digest(flask, "3.13", "x86_64-manylinux_2_36", GUNICORN),
        bundle.dependencies_digest(flask, "3.11", "aarch64-manylinux_2_36", GUNICORN),
        bundle.dependencies_digest(other, "3.11", "x86_64-manylinux_2_36", GUNICORN),
    }
    assert len(digests) == 4


@pytest.mark.parametrize(
    "line", ["-e .", ".", "--editable=.", "--editable .", " -e . # this one", ".[postgres]", "-e .[a]"]
)
def test_line_that_means_the_project_itself_is_left_out(planned, tmp_path, line):
    plan = planned({"requirements.txt": f"flask\n{line}\n-r more.txt\n", "more.txt": ""})
    kept = bundle._requirement_lines(plan, tmp_path).read_text()
    assert kept == f"flask\n-r {plan['path']}/more.txt\n"


@pytest.mark.parametrize("line", ["./vendored/package.whl", "-e ./libs/shop", "..", ".hidden", "-r ./more.txt"])
def test_other_paths_are_kept(planned, tmp_path, line):
    plan = planned({"requirements.txt": f"flask\n{line}\n"})
    assert bundle._requirement_lines(plan, tmp_path) == Path(plan["path"]) / "requirements.txt"


@pytest.mark.parametrize(
    "head",
    [
        "#!/home/me/project/.venv/bin/python",
        "#!/usr/bin/env python3",
        "#!/bin/sh\n'''exec' \"/a path/with blanks/python3\" \"$0\" \"$@\"\n' '''",
    ],
)
def test_script_runs_the_python_beside_it_wherever_it_is(tmp_path, head):
    scripts = tmp_path / "with blank" / "bin"
    scripts.mkdir(parents=True)
    (scripts / "python3").symlink_to(shutil.which("python3"))
    script = scripts / "hello"
    script.write_text(head + '\nimport sys\nprint("hello", *sys.argv[1:])\n')
    script.chmod(0o755)
    bundle._relocate(script)
    moved = tmp_path / "elsewhere"
    scripts.parent.rename(moved)
    (tmp_path / "link").symlink_to(moved / "bin" / "hello")
    for called in (moved / "bin" / "hello", tmp_path / "link"):
        done = subprocess.run([called, "a b", "c"], capture_output=True, text=True, check=True)
        assert done.stdout == "hello a b c\n"


@pytest.mark.parametrize("content", [b"#!/bin/sh\necho hi\n", b"\x7fELF\x00\x01", b"", b"#!/usr/bin/perl\n"])
def test_other_programs_are_left_alone(tmp_path, content):
    (tmp_path / "program").write_bytes(content)
    bundle._relocate(tmp_path / "program")
    assert (tmp_path / "program").read_bytes() == content


@pytest.fixture
def app(tree):
    """An app with a program and a link in it."""
    path = tree({"app.py": "app = 1", "bin/run": "#!/bin/sh\n"})
    (path / "bin/run").chmod(0o755)
    (path / "link").symlink_to("app.py")
    return path


def plan_of(path: Path) -> dict:
    return {"path": str(path), "source_digest": source.digest(path, source.files(path))}


def test_archive_of_the_same_files_is_the_same(app, tmp_path):
    """Times stay what they are: a browser's cache goes by them."""
    for name in ("one.tar.gz", "two.tar.gz"):
        bundle.build_source(plan_of(app), tmp_path / name)
    assert bundle.sha256(tmp_path / "one.tar.gz") == bundle.sha256(tmp_path / "two.tar.gz")


def test_archive_has_the_apps_files_as_roots(app, tmp_path):
    bundle.build_source(plan_of(app), tmp_path / "source.tar.gz")
    with tarfile.open(tmp_path / "source.tar.gz") as archive:
        found = {entry.name: (entry.uid, entry.mode, entry.linkname) for entry in archive}
    assert found["src/app.py"] == (0, 0o640, "")
    assert found["src/bin/run"] == (0, 0o750, "")
    assert found["src/link"][2] == "app.py"


def test_source_that_changed_since_the_plan_is_refused(app, tmp_path):
    plan = plan_of(app)
    (app / "app.py").write_text("app = 2")
    with pytest.raises(AppError, match="^app_source: .* changed while it was being deployed"):
        bundle.build_source(plan, tmp_path / "source.tar.gz")
    assert not (tmp_path / "source.tar.gz").exists()


def test_missing_uv_says_how_to_get_it(planned, tmp_path):
    plan = planned({"requirements.txt": "flask\n"})
    with pytest.raises(AppError, match="uv is not on this computer; run scripts/setup"):
        bundle.build_dependencies(
            plan, "3.11", "x86_64-manylinux_2_36", "/nonexistent/uv", GUNICORN, tmp_path / "venv.tar.gz"
        )


def test_dependencies_without_the_network(planned, tmp_path, monkeypatch):
    """Runs only where uv has gunicorn in its cache: nothing is downloaded here."""
    uv = shutil.which("uv")
    if not uv:
        pytest.skip("no uv")
    monkeypatch.setenv("UV_OFFLINE", "1")
    plan = planned({"requirements.txt": GUNICORN.read_text()})
    venv = tmp_path / "venv.tar.gz"
    try:
        found = bundle.build_dependencies(plan, "3.11", "x86_64-manylinux_2_36", uv, GUNICORN, venv)
    except AppError as error:
        pytest.skip(f"uv cannot work offline here: {str(error)[:80]}")
    assert "gunicorn" in found
    with tarfile.open(venv) as archive:
        names = archive.getnames()
        assert archive.getmember("venv/bin/python3").linkname == "/usr/bin/python3.11"
    assert "venv/bin/gunicorn" in names
    assert "venv/lib/python3.11/site-packages/gunicorn/__init__.py" in names


def test_what_goes_on_beside_is_done_by_another_process(tmp_path):
    action = load("roles/app/action_plugins/app_bundle.py")
    said = tmp_path / "said"

    def act():
        print("nobody hears this")
        said.with_suffix(".part").write_text(f"{os.getpid()} {os.getsid(0)}")
        said.with_suffix(".part").rename(said)

    action.go_on_beside(act)
    deadline = time.monotonic() + 30
    while not said.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process, session = said.read_text().split()
    assert process == session != str(os.getpid())


# What a build may see
SPY = """
import json, os, pathlib, setuptools
seen = {"environment": dict(os.environ), "files": {}, "processes": {}}
for name in json.loads(pathlib.Path("look.json").read_text()):
    try:
        seen["files"][name] = pathlib.Path(name).read_text()
    except OSError as error:
        seen["files"][name] = None
for entry in pathlib.Path("/proc").glob("[0-9]*/environ"):
    try:
        seen["processes"][str(entry)] = entry.read_text(errors="replace")
    except OSError:
        pass
pathlib.Path("spied.py").write_text(f"SEEN = {seen!r}")
setuptools.setup(name="spied", version="1.0", py_modules=["spied"])
"""
SECRETS = {
    "ANSIBLE_VAULT_PASSWORD": "canary-1",
    "ANSIBLE_VAULT_PASSWORD_FILE": "/canary-2",
    "AWS_SECRET_ACCESS_KEY": "canary-3",
    "SSH_AUTH_SOCK": "/run/canary-4",
    "VAULT_APP_SECRET_KEY": "canary-5",
    "UV_PUBLISH_TOKEN": "canary-6",
    "DATABASE_PASSWORD": "canary-7",
    "GITHUB_TOKEN": "canary-8",
}


def spied(planned, tmp_path, monkeypatch) -> dict:
    """Build a distribution that comes as source and looks around; return what it saw."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    secret = tmp_path / "inventory/vault-password"
    secret.parent.mkdir()
    secret.write_text("canary-9")
    unshipped = tmp_path / "app/.env"
    plan = planned({"requirements.txt": "spied @ ./spied-1.0.tar.gz\n"})
    unshipped.write_text("canary-10")
    looked_at = [str(secret), str(unshipped), str(Path.home() / ".ssh"), "/etc/shadow", str(Path(__file__))]
    with tarfile.open(Path(plan["path"]) / "spied-1.0.tar.gz", "w:gz") as archive:
        files = {"setup.py": SPY, "PKG-INFO": "Metadata-Version: 2.1\nName: spied\nVersion: 1.0\n"}
        for name, text in (files | {"look.json": json.dumps(looked_at)}).items():
            entry = tarfile.TarInfo(f"spied-1.0/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    made = tmp_path / "cache/bundles/venv.tar.gz"
    made.parent.mkdir(parents=True)
    monkeypatch.setattr(bundle, "_lock", lambda plan, work, uv, target, gunicorn: [hashed(Path(plan["path"]), uv)])
    bundle.build_dependencies(plan, "3.11", "x86_64-manylinux_2_36", UV, GUNICORN, made)
    with tarfile.open(made) as archive:
        text = archive.extractfile("venv/lib/python3.11/site-packages/spied.py").read().decode()
    found: dict = {}
    exec(text, found)
    return found["SEEN"]


def hashed(root: Path, uv) -> Path:
    """Return a lock of the distribution in a directory."""
    archive = root / "spied-1.0.tar.gz"
    (uv.out / "lock.txt").write_text(f"spied @ file://{archive} --hash=sha256:{bundle.sha256(archive)}\n")
    return uv.out / "lock.txt"


@pytest.mark.slow
def test_a_build_does_not_see_the_secrets_of_who_deploys(planned, tmp_path, monkeypatch):
    if not sandbox.usable():
        pytest.skip("no bubblewrap here that may do its work")
    seen = spied(planned, tmp_path, monkeypatch)
    assert "canary" not in json.dumps(seen)
    assert seen["files"] and set(seen["files"].values()) == {None}
    # Nor any process but its own.
    assert all("PATH=" in text for text in seen["processes"].values() if text)
    assert len(seen["processes"]) < 10


@pytest.mark.slow
def test_without_a_sandbox_a_build_has_a_clean_environment_all_the_same(planned, tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "usable", lambda: "")
    seen = spied(planned, tmp_path, monkeypatch)
    assert "canary" not in json.dumps(seen["environment"]) and seen["environment"]["HOME"] != str(Path.home())


def test_the_environment_of_a_build_is_a_list_of_what_it_may_know(tmp_path):
    given = SECRETS | {
        "HOME": "/h",
        "PATH": "/bin",
        "https_proxy": "http://p",
        "UV_INDEX_URL": "https://i",
        "LC_TIME": "C",
    }
    kept = sandbox.environment(given, tmp_path)
    assert set(kept) == {"HOME", "PATH", "https_proxy", "UV_INDEX_URL", "LC_TIME", "LC_ALL", "TMPDIR", "UV_CACHE_DIR"}


def test_passwords_are_only_those_of_the_indexes_that_are_named(tmp_path):
    (tmp_path / ".netrc").write_text(
        "machine pypi.example login a password b\nmachine git.example login c password canary\n"
    )
    (tmp_path / "requirements.txt").write_text("--extra-index-url https://pypi.example/simple\nflask\n")
    with sandbox.home([tmp_path / "requirements.txt"], {"HOME": str(tmp_path)}) as home:
        assert (home / ".netrc").read_text() == "machine pypi.example login a password b\n"
        assert (home / ".netrc").stat().st_mode & 0o777 == 0o600
    assert not home.exists()


@pytest.mark.slow
def test_a_build_cannot_have_us_write_elsewhere(planned, tmp_path, monkeypatch):
    target = tmp_path / "bin"
    target.mkdir()
    (target / "mine").write_text("#!/usr/bin/python3\n")

    def install(self, *_arguments: str, cwd: Path) -> None:
        (self.writes[-1] / "bin").symlink_to(target)

    monkeypatch.setattr(bundle.Builder, "__call__", install)
    monkeypatch.setattr(bundle, "_lock", lambda *_: [GUNICORN])
    with pytest.raises(AppError, match="as its programs' directory"):
        bundle.build_dependencies(
            planned({"requirements.txt": ""}), "3.11", "p", "uv", GUNICORN, tmp_path / "x/y.tar.gz"
        )
    assert (target / "mine").read_text() == "#!/usr/bin/python3\n"
