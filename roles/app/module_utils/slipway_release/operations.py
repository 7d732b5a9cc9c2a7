"""What shall go live: each operation has its own answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from . import fleet, history, layout, migration, preflight, retirement, trial
from .host import Failure, active
from .release import Release, change_environment, content_id, name, scale, settings_digest

if TYPE_CHECKING:
    from .engine import Operation


def deploy(operation: Operation) -> bool:
    """A release from what was shipped."""
    wanted = operation.request["manifest"]["id"]
    serves = operation.old is not None and operation.old.manifest.get("id") == wanted
    if serves:
        operation.choose(operation.old.name)
    is_settled = serves and settled(operation)
    scaled = fleet.set_scale(operation)
    if serves and "web" in scaled:
        return copy(operation, "scale", {})
    if is_settled:
        return fleet.adjust_processes(operation, scaled)
    operation.tell(changed=True)
    check_machine(operation)
    if not operation.release.manifest:
        operation.step("unpack")
        settings = shipped_settings(operation, wanted)
        earlier = retirement.keeping(operation, operation.request["assets"]) if operation.old else []
        directory = layout.Layout(operation.release, operation.request["manifest"])
        directory.unpack(operation.request["archives"], settings, [Release(operation.app, name) for name in earlier])
    retirement.clear_incoming(operation)
    if operation.old and not operation.replaces:
        return True  # it served before: only what stopped is started again
    loaded = trial.check(
        operation, before_migration=bool(operation.request["migrate"] and operation.release.manifest["migrate"])
    )
    if operation.request["migrate"]:
        operation.migrated = migration.migrate(operation)
    if not loaded:
        trial.check(operation)
    return True


def shipped_settings(operation: Operation, wanted: str) -> str:
    """Return the environment file that was shipped for a release. Failure where it is not there any more.

    ssh connects again after a machine was restarted, and begins a second time what an earlier run has used up.
    """
    try:
        return (operation.root / "incoming" / f"{wanted}.env").read_text()
    except FileNotFoundError as error:
        reason = "what was shipped for the release is used up or removed; nothing was changed. Run the same again"
        raise Failure("unpack", reason) from error


def restart(operation: Operation) -> bool:
    """The live release anew."""
    return copy(operation, "restart", {})


def set_config(operation: Operation) -> bool:
    """The live release's code under other settings."""
    if not operation.old:
        raise Failure("choose", "no release is live, so that there is none to configure")
    text = (operation.old.directory / "env").read_text()
    asked = operation.request["settings"]
    new = asked["text"] if asked["whole"] else change_environment(text, asked["text"], asked["unset"])
    if new == text:
        return False
    secrets = operation.request["secrets"] if asked["whole"] else operation.old.manifest["secrets"]
    copy(operation, "configure", {"settings": settings_digest(new), "secrets": secrets, "generation": 0}, new)
    trial.check(operation)
    return True


def scale_to(operation: Operation) -> bool:
    """The live release with other numbers of fleet."""
    if not operation.old:
        raise Failure("choose", "no release is live, so that there is none to scale")
    if operation.request["merge"]:
        files = (file.name for file in (operation.root / "scale").glob("*"))
        merged = {process: scale(operation.app, process) for process in files} | operation.request["scale"]
        operation.request["scale"] = {key: merged[key] for key in merged if key not in operation.request["unset"]}
    scaled = fleet.set_scale(operation)
    return copy(operation, "scale", {}) if "web" in scaled else fleet.adjust_processes(operation, scaled)


def roll_back(operation: Operation) -> bool:
    """A release that served before."""
    target = operation.request["id"]
    if operation.old and operation.old.name == target:
        return False
    operation.choose(target)
    if not operation.release.manifest:
        here = ", ".join(sorted(path.name for path in (operation.root / "releases").iterdir() if path.is_dir()))
        raise Failure("choose", f"the release {target} is not on this machine any more; there are {here or 'none'}")
    python = Path(f"/usr/bin/python{operation.release.manifest['python']}")
    if not python.exists():
        raise Failure("choose", f"the release {target} was built for {python}, which is not on this machine any more")
    operation.tell(changed=True)
    if not operation.request.get("schema_confirmed"):
        migration.see_that_schema_fits(operation.lines, operation.old, operation.release)
    return True


def copy(operation: Operation, what: str, changed: dict, settings: str | None = None) -> bool:
    """Make a release from the live one; True."""
    if not operation.old or not operation.old.manifest:
        raise Failure("choose", f"no release is live, so that there is nothing to {what}")
    manifest = {**operation.old.manifest, **changed}
    if settings is None:
        manifest["generation"] = operation.old.manifest.get("generation", 0) + 1
    else:
        manifest["id"] = content_id(manifest)
    operation.choose(name(manifest))
    operation.tell(changed=True)
    check_machine(operation)
    if not operation.release.manifest:
        operation.step("unpack")
        text = settings if settings is not None else (operation.old.directory / "env").read_text()
        layout.Layout(operation.release, manifest).copy(operation.old, text)
    return True


def settled(operation: Operation) -> bool:
    """Say whether the live release is the wanted one, all of it is up, and the history knows."""
    last = history.went_live(operation.lines)[-1:]
    return bool(
        operation.release.manifest
        and active(*operation.release.units())
        and last
        and last[0]["id"] == operation.release.name
    )


def check_machine(operation: Operation) -> None:
    """See that the machine can take a second release."""
    operation.step("preflight")
    archives = operation.request.get("archives") or {}
    needed = 6 * sum(archive["bytes"] for archive in archives.values()) + 64 * 1048576
    asked = {
        "disk": lambda: preflight.disk(operation.root, needed),
        "memory": lambda: preflight.memory(operation.old.service) if operation.old else None,
        "clock": lambda: preflight.clock(operation.request["clock"]),
        "database": lambda: preflight.database(operation.request.get("database_url", "")),
    }
    for check, ask in asked.items():
        if not operation.waived(check):
            ask()


# What each operation does first. A word that is not here is not asked for: see the module app_release.
OPERATIONS: dict[str, Callable[[Operation], bool]] = {
    "deploy": deploy,
    "restart": restart,
    "set-config": set_config,
    "scale": scale_to,
    "roll-back": roll_back,
}


def prepare(operation: Operation) -> bool:
    """Make what shall go live, as far as it is to be made; False where there is nothing to do."""
    return OPERATIONS[operation.request["operation"]](operation)
