"""Migrating the database for a release, once, and judging first what that does to the release that serves."""

from __future__ import annotations

import inspect
import json
import subprocess
import time
from typing import TYPE_CHECKING

from . import bounded, check_app, gate, history, host, units
from .host import Failure, systemctl
from .release import Release

if TYPE_CHECKING:
    from .engine import Operation

# No process of an app can have such a name.
CHECK = "slipway.check"


def ask_app(operation: Operation) -> dict:
    """Return what check_app tells of the release, which runs in the sandbox of the app's units."""
    release = operation.release
    program = release.directory / "bin" / "check.py"
    if program.read_text() != inspect.getsource(check_app):  # unpacked by an earlier version of this program
        host.write(program, inspect.getsource(check_app), 0o640, program.stat().st_gid)
    path, seconds = operation.run_directory / "check.json", operation.request["check_timeout"]
    with bounded.output(path) as answer:
        output = (f"StandardOutput=file:{path}", "StandardError=journal", *units.web_environment(operation.app))
        unit = units.write(operation, CHECK, CHECK, "oneshot", *output)
        operation.begun = time.time()
        try:
            run(unit, seconds)
            return json.loads(answer.text())
        except subprocess.TimeoutExpired as error:
            reason = f"the app was not loaded within {seconds} s"
            raise Failure("check imports", reason, release.log(unit, operation.begun)) from error
        except bounded.TooMuchError as error:
            reason = f"the app wrote into what the process that loads it says of the app: {error}"
            raise Failure("check imports", reason, release.log(unit, operation.begun)) from error
        except (OSError, ValueError) as error:
            reason = "the app ended the process that loaded it"
            raise Failure("check imports", reason, release.log(unit, operation.begun)) from error
        finally:
            stop(unit)


def run(unit: str, seconds: int) -> bool:
    """Run a one-shot unit to its end; True where it succeeded. Raises subprocess.TimeoutExpired."""
    systemctl("reset-failed", unit, check=False)
    return subprocess.run(["systemctl", "start", unit], capture_output=True, timeout=seconds).returncode == 0


def stop(unit: str) -> None:
    """Leave nothing of a one-shot unit."""
    systemctl("stop", unit, check=False)
    systemctl("reset-failed", unit, check=False)


def migrate(operation: Operation) -> dict:
    """Run the app's migration in the new release, before it gets traffic; return what the history keeps of it.

    Raises Failure where it would take something from the release that serves and nobody said yes, where it fails,
    and where it takes too long.
    """
    release, request = operation.release, operation.request
    command = release.manifest["migrate"]
    if not command:
        return {}
    if not operation.made:
        operation.made = ask_app(operation)  # no WSGI target is known, so that nothing was checked
    known = operation.made.get("migrations") or {}
    kept = gate.approved(operation, known)
    operation.remember_migration(kept)
    operation.step("migrate")
    restore_point(operation, known)
    limits = f'Environment="SLIPWAY_MIGRATE_OPTIONS={request["migrate_options"]}"'
    unit, begun = units.write(operation, "release", "release", "oneshot", limits), time.time()
    try:
        if not run(unit, request["migrate_timeout"]):
            raise Failure("migrate", f"`{command}` did not succeed", release.log(unit, begun))
    except subprocess.TimeoutExpired as error:
        reason = f"`{command}` took longer than {request['migrate_timeout']} s"
        raise Failure("migrate", reason, release.log(unit, begun)) from error
    finally:
        stop(unit)
        keep_log(release, unit, begun)
    left = {"heads": known.get("heads"), "unread": gate.fingerprint(operation)}
    host.write(release.directory / "schema.json", json.dumps({key: left[key] for key in left if left[key]}), 0o644)
    return kept


def restore_point(operation: Operation, known: dict) -> None:
    """Name a point in the write-ahead log after the release, to which a point-in-time recovery can go back."""
    if not operation.request.get("local_database") or known.get("pending") == []:
        return
    point = f"{operation.app}-{operation.release.name}"
    question = f"SELECT pg_create_restore_point('{point}')"
    asked = ["runuser", "-u", "postgres", "--", "psql", "-XAtc", question, "postgres"]
    done = subprocess.run(asked, capture_output=True, text=True, cwd="/")
    if done.returncode:
        operation.warn(f"migration: no restore point could be set ({done.stderr.strip()[-200:]})")
    else:
        print(f"restore point {point} at {done.stdout.strip()}", flush=True)


def keep_log(release: Release, unit: str, begun: float) -> None:
    """Keep what the migration printed in a file of its own."""
    directory = release.root / "log"
    directory.mkdir(mode=0o700, exist_ok=True)
    lines = release.log(unit, begun, 10000)
    host.write(directory / f"migrate-{release.name}.log", "\n".join(lines) + "\n", 0o600)


def see_that_schema_fits(lines: list[dict], live: Release | None, target: Release) -> None:
    """Refuse to go back over a migration that took something away from the release that would serve."""
    if live is None:
        return
    # A live release of the same schema has lived with all that came before it.
    same = bool(live.schema) and live.schema == target.schema
    steps = history.contracting_since(lines, live.name if same else target.name)
    if not steps:
        return
    listed = "".join(f"\n    - {step}" for step in steps)
    version = history.version_of(lines, target.name) or target.name
    heads = " ".join(target.schema.get("heads", [])) or "REVISION"
    raise Failure(
        "schema",
        f"since {version} the database was migrated by steps that it does not know:{listed}\n"
        "  You can: mend the fault and deploy forward; or take the schema back first, which may lose data:"
        f' ansible-playbook playbooks/run.yml -e command="flask db downgrade {heads}";'
        " or, where you know that the old code can live with it, say so: -e app_schema_confirmed=true",
    )
