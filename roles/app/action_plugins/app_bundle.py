"""Name a release by its content and make the archives that it is unpacked from, on the control node."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import ansible.module_utils
from ansible.plugins.action import ActionBase

# The code is the modules' too. A module of its own for the control node would take half a second to start.
ansible.module_utils.__path__.append(str(Path(__file__).parents[1] / "module_utils"))

_ARGUMENTS = {
    "plan": {"type": "dict", "required": True},
    "python": {"type": "str", "required": True},
    "architecture": {"type": "str", "required": True},
    "distribution_version": {"type": "str", "required": True},
    "settings_digest": {"type": "str", "required": True},
    "cache": {"type": "path", "required": True},
    "gunicorn": {"type": "path", "required": True},
    "uv": {"type": "path", "required": True},
    "build": {"type": "bool", "default": False},
    "beside": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):
    """Return the release's ``id``, which comes of the app's files, dependencies, Python and settings.

    Arguments: ``plan`` (what app_plan returned), ``python`` (the machine's, e.g. 3.11), ``architecture`` (e.g. x86_64)
    and ``distribution_version`` (e.g. 12) of the machine, ``settings_digest`` (of the release's environment file),
    ``cache`` (the directory where archives are kept), ``gunicorn`` (locked requirements of it, for an app that brings
    none), ``uv`` (the program), ``build`` (whether to make the archives that are not in the cache yet), ``beside``
    (whether to make them while the run goes on: who asks for them later waits for them, and meets what went wrong).
    Also returns ``dependencies_digest``, and with ``build`` the ``archives`` with their checksums.
    """

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """See the class."""
        from ansible.module_utils.slipway_app.errors import answer

        super().run(tmp, task_vars)
        _, checked = self.validate_argument_spec(_ARGUMENTS)
        return answer(bundled, checked)


def go_on_beside(action: Callable[[], object]) -> None:
    """Call it in a process of its own, which outlives this one and says nothing."""
    if os.fork():
        return
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        action()
    finally:
        os._exit(0)


def bundled(asked: dict) -> dict:
    """What a bundle of these arguments is called, and its archives where they are asked for. Raises AppError."""
    from ansible.module_utils.slipway_app import bundle, sandbox
    from ansible.module_utils.slipway_release.release import content_id

    if asked["beside"]:
        go_on_beside(lambda: bundled(asked | {"beside": False, "build": True}))
    plan, gunicorn = asked["plan"], Path(asked["gunicorn"])
    on = bundle.platform(asked["architecture"], asked["distribution_version"])
    dependencies = bundle.dependencies_digest(plan, asked["python"], on, gunicorn)
    content = plan | {"source": plan["source_digest"], "dependencies": dependencies}
    content |= {"python": asked["python"], "settings": asked["settings_digest"]}
    result = {"id": content_id(content), "dependencies_digest": dependencies}
    if asked["build"] and not asked["beside"]:
        result["archives"] = archives(asked, on, dependencies)
        if not sandbox.usable():
            result["warnings"] = [
                "bubblewrap (bwrap) is not on this computer, or may not do its work: what builds the app's dependencies"
                " may read the files of who deploys. Install Debian's package bubblewrap."
            ]
    return result


def archives(asked: dict, on: str, dependencies: str) -> dict[str, dict]:
    """The archives of source and dependencies, made unless the cache has them. Raises AppError."""
    from ansible.module_utils.slipway_app import bundle
    from ansible.module_utils.slipway_app import cache as cache_entries
    from ansible.module_utils.slipway_app.source import locked

    plan, cache, gunicorn = asked["plan"], Path(asked["cache"]) / "bundles", Path(asked["gunicorn"])
    source_archive = cache / f"source-{plan['source_digest'][:24]}.tar.gz"
    venv_archive = cache / f"venv-{dependencies[:24]}.tar.gz"
    with locked(cache / "lock"):
        if not venv_archive.exists():
            bundle.build_dependencies(plan, asked["python"], on, asked["uv"], gunicorn, venv_archive)
        if not source_archive.exists():
            bundle.build_source(plan, source_archive)
        for archive in (venv_archive, source_archive):
            cache_entries.used(archive)
    return {
        kind: {
            "path": str(file),
            "name": file.name,
            "sha256": bundle.sha256(file),
            "bytes": file.stat().st_size,
            "digest": digest,
        }
        for kind, file, digest in (
            ("source", source_archive, plan["source_digest"]),
            ("venv", venv_archive, dependencies),
        )
    }
