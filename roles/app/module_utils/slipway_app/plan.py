"""Reading an app's directory: what it runs, what it needs, and whether that can work."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from pathlib import Path

from ansible.module_utils.slipway_app import cron, procfile, source, text, worktree
from ansible.module_utils.slipway_app.errors import AppError
from packaging.specifiers import InvalidSpecifier, SpecifierSet

_WSGI = re.compile(r"^([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?::([A-Za-z_]\w*(?:\.\w+)*)(\(.*\))?)?$")
_PROCESS = re.compile(r"^[a-z][a-z0-9-]{0,30}$")
_STATIC_URL = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+/")
_STATIC_FORM = "[{url: /static/, path: static}], the path from the top directory of the app"
_SCHEDULED_FORM = '{cleanup: {schedule: "30 3 * * *", command: flask cleanup}}'
_WSGI_FORM = 'module:callable, e.g. wsgi:app or "hello:create_app()"'


def python_request(path: Path) -> tuple[str, str]:
    """Return the Python version that an app asks for ("3.11", or "" for any) and the file that says so."""
    for name in (".python-version", "runtime.txt"):
        file = path / name
        if not file.is_file():
            continue
        lines = [line.strip() for line in text.read(file).splitlines()]
        asked = next((line for line in lines if line and not line.startswith("#")), "")
        match = re.match(r"^(?:python-|cpython-)?(\d+)(?:\.(\d+))?(?:\.\d+)?$", asked)
        if not match or not match.group(2):
            raise AppError(f"{name} asks for {asked!r}.", "app_source", "a version such as 3.11 (or python-3.11.9)")
        return f"{match.group(1)}.{match.group(2)}", name
    return "", ""


def requires_python(path: Path) -> str:
    """Return which Pythons a project allows (PEP 440), "" for any. AppError where pyproject.toml cannot be read."""
    if not (path / "pyproject.toml").is_file():
        return ""
    try:
        project = tomllib.loads(text.read(path / "pyproject.toml")).get("project", {})
        return str(SpecifierSet(str(project.get("requires-python", ""))))
    except (tomllib.TOMLDecodeError, InvalidSpecifier) as error:
        raise AppError(f"{path}/pyproject.toml cannot be read: {error}", "app_source") from error


def requirements(path: Path) -> dict[str, object]:
    """Return which file lists the dependencies: {"kind": ..., "file": ..., "inputs": [names]}.

    A uv.lock wins over requirements.txt, that one over pyproject.toml alone. Raises AppError where
    none of them is there.
    """
    included = _included(path, "requirements.txt") if (path / "requirements.txt").is_file() else []
    if (path / "uv.lock").is_file() and (path / "pyproject.toml").is_file():
        return {"kind": "uv.lock", "file": "uv.lock", "inputs": ["pyproject.toml", "uv.lock"]}
    if included:
        project = ["pyproject.toml"] if (path / "pyproject.toml").is_file() else []
        return {"kind": "requirements", "file": "requirements.txt", "inputs": included + project}
    if (path / "pyproject.toml").is_file():
        return {"kind": "pyproject", "file": "pyproject.toml", "inputs": ["pyproject.toml"]}
    raise AppError(
        f"{path} says nowhere what the app depends on.",
        "app_source",
        "a requirements.txt, or a uv.lock with its pyproject.toml, in the top directory of the app",
    )


def _included(path: Path, name: str, seen: tuple[str, ...] = ()) -> list[str]:
    """Return a requirements file and those that it includes with -r or -c."""
    if not (path / name).is_file():
        raise AppError(f"{seen[-1]} includes {name}, which is not there.", "app_source")
    found = [name]
    for line in text.read(path / name).splitlines():
        match = re.match(r"^\s*(?:-r|-c|--requirement|--constraint)[\s=]+(\S+)", line)
        if match and match.group(1) not in (*seen, name):
            below = str(Path(name).parent / match.group(1))
            found += [each for each in _included(path, below, (*seen, name)) if each not in found]
    return found


def find_module(path: Path, module: str, roots: list[str]) -> Path | None:
    """Return the file of a module below one of the roots of an app, or None."""
    for root in roots:
        stem = path / root / Path(*module.split("."))
        for candidate in (stem.with_suffix(".py"), stem / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


def _names(file: Path) -> set[str]:
    """Return the names that a module defines at its top. Raises SyntaxError or ValueError where it is no Python."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names: set[str] = set()
    todo: list[ast.AST] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update(alias.asname or alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        todo.extend(ast.iter_child_nodes(node))
    return names


def _defines(file: Path, name: str) -> bool:
    """Say whether a module may define a name at its top; True where that cannot be told."""
    try:
        names = _names(file)
    except (SyntaxError, ValueError):
        return True  # the new release's own start tells the reason better
    return name in names or "*" in names or "globals" in file.read_text(encoding="utf-8")


def _targets(path: Path, roots: list[str]) -> str:
    """Return what looks like a WSGI target in an app, in words to end a message with."""
    found = []
    for root in roots:
        for file in sorted([*(path / root).glob("*.py"), *(path / root).glob("*/__init__.py")]):
            module = file.parent.name if file.name == "__init__.py" else file.stem
            try:
                names = _names(file)
            except (OSError, SyntaxError, ValueError):
                continue
            found += [f"{module}:{name}" for name in ("app", "application") if name in names]
            found += [f"{module}:{name}()" for name in ("create_app", "make_app") if name in names]
    return f" There is {' and '.join(list(dict.fromkeys(found))[:4])}." if found else ""


def check_wsgi(path: Path, wsgi: str, roots: list[str], variable: str) -> None:
    """Raise AppError where the module of a WSGI target is not in the app, or has no such name."""
    match = _WSGI.match(wsgi)
    if not match:
        raise AppError(f"{wsgi!r} names no WSGI application.", variable, _WSGI_FORM)
    module, name = match.group(1), match.group(2) or "application"
    file = find_module(path, module, roots)
    if file is None:
        places = ", ".join(str(Path(root) / module.replace(".", "/")) + ".py" for root in roots)
        raise AppError(
            f"there is no module {module!r} in {path} (looked for {places}).{_targets(path, roots)}",
            variable,
            _WSGI_FORM,
        )
    if not _defines(file, name.split(".")[0]):
        raise AppError(f"{file.relative_to(path)} defines no {name!r}.{_targets(path, roots)}", variable, _WSGI_FORM)


def static_default(path: Path, module: str, roots: list[str]) -> list[dict[str, str]]:
    """Return where Flask's own static directory is: beside the app's module, else in the only package with one."""
    beside = find_module(path, module, roots) if module else None
    if beside is not None and beside.name == "__init__.py" and (beside.parent / "static").is_dir():
        return [{"url": "/static/", "path": str((beside.parent / "static").relative_to(path))}]
    found = {
        candidate.relative_to(path)
        for root in roots
        for candidate in [path / root / "static", *(path / root).glob("*/static")]
        if candidate.is_dir()
        and not any(part.startswith(".") or part == "tests" for part in candidate.relative_to(path).parts)
        and (candidate.parent == path / root or (candidate.parent / "__init__.py").is_file())
    }
    return [{"url": "/static/", "path": str(found.pop())}] if len(found) == 1 else []


def check_static(path: Path, static: list[dict]) -> None:
    """Raise AppError where an entry of app_static is no URL prefix with a directory of the app."""
    for entry in static:
        url, directory = entry.get("url"), entry.get("path")
        if not isinstance(url, str) or not _STATIC_URL.fullmatch(url) or not isinstance(directory, str):
            raise AppError(f"{entry} is no URL prefix with a directory.", "app_static", _STATIC_FORM)
        if not (path / directory).is_dir():
            raise AppError(f"there is no directory {directory!r} in {path}.", "app_static", _STATIC_FORM)
        if not (path / directory).resolve().is_relative_to(path.resolve()):
            raise AppError(f"{directory!r} is not inside {path}.", "app_static", _STATIC_FORM)


def make(path: Path, settings: dict) -> dict:
    """Return the plan of an app's release: processes, migration, WSGI target, Python, dependencies, static files.

    ``settings`` has the inventory's wsgi, processes, migrate_command and static (None: as the app says), scheduled, and
    the app's name (app).
    Raises AppError with the variable to change where the app cannot run as it is.
    """
    source.check_links(path, settings.get("app", ""))
    names = source.files(path)
    worktree.check_lfs(path, names)
    if not names:
        raise AppError(f"{path} has no files to deploy.", "app_source", "the directory of an app")
    declared = procfile.parse(text.read(path / "Procfile")) if (path / "Procfile").is_file() else {}
    web, wsgi, roots, variable = _web(path, declared, settings["wsgi"])
    module = wsgi.partition(":")[0] if wsgi else ""
    if wsgi:
        check_wsgi(path, wsgi, roots, variable)
    others = {name: line for name, line in declared.items() if name not in ("web", "release")}
    if settings["processes"] is not None:
        others = {name: str(line) for name, line in settings["processes"].items()}
    for name, line in others.items():
        if not _PROCESS.match(name) or name in ("web", "release", "deploy"):
            raise AppError(f"{name!r} cannot name a process.", "app_processes", "[a-z][a-z0-9-]*, not web or release")
        procfile.tokens(line)
    migrate = settings["migrate_command"]
    if migrate is None:
        migrate = declared.get("release") or ("flask db upgrade" if (path / "migrations").is_dir() else "")
    python, python_file = python_request(path)
    static = settings["static"] if settings["static"] is not None else static_default(path, module, roots)
    check_static(path, static)
    for entry in static:
        source.check_published(path, names, entry["path"])
    return {
        "path": str(path),
        "files": names,
        "source_digest": source.digest(path, names),
        "wsgi": wsgi,
        "web": procfile.launched(web or f'gunicorn --threads "$GUNICORN_THREADS" {shlex.quote(wsgi)}', path),
        "processes": {name: procfile.launched(line, path) for name, line in others.items()},
        "scheduled": _scheduled(settings["scheduled"], others),
        "migrate": migrate,
        "python": python,
        "python_file": python_file,
        "requires_python": requires_python(path),
        "requirements": requirements(path),
        "static": static,
        "roots": roots,
    }


def _scheduled(asked: dict, processes: dict) -> dict[str, dict]:
    """Return the processes that run by the clock: their commands, and when as systemd's calendar events."""
    found = {}
    for name, entry in asked.items():
        if not _PROCESS.match(name) or name in processes:
            raise AppError(f"{name!r} cannot name a scheduled process.", "app_scheduled", "[a-z][a-z0-9-]*, no process")
        if not isinstance(entry, dict) or set(entry) != {"schedule", "command"}:
            raise AppError(f"{name} has no schedule and command.", "app_scheduled", _SCHEDULED_FORM)
        procfile.tokens(str(entry["command"]))
        command = procfile.with_exec(str(entry["command"]))
        found[name] = {"command": command, "calendars": cron.calendars(str(entry["schedule"]))}
    return found


def _web(path: Path, declared: dict[str, str], asked: str | None) -> tuple[str, str, list[str], str]:
    """Return the web command ("" for gunicorn as Slipway starts it), its WSGI target, import roots, and who said so."""
    roots = [".", "src"] if (path / "src").is_dir() else ["."]
    if asked:
        return "", asked, roots, "app_wsgi"
    if "web" not in declared:
        return "", "wsgi:app", roots, "app_wsgi"
    words = procfile.gunicorn_words(declared["web"])
    if words is None:
        raise AppError(
            f"the Procfile's web line, {declared['web']!r}, does not start gunicorn, and only gunicorn can take over"
            " connections without losing one.",
            "app_wsgi",
            f"{_WSGI_FORM}, which is then started instead of that line",
        )
    chdir = procfile.gunicorn_option(words, "--chdir")
    paths = procfile.gunicorn_option(words, "--pythonpath")
    roots = ([chdir] if chdir else []) + (paths.split(",") if paths else []) + roots
    return declared["web"], procfile.gunicorn_target(words) or "", roots, "app_source (its Procfile's web line)"
