#!/usr/bin/python
"""Name a release by its content and make the archives that it is unpacked from."""

from __future__ import annotations

DOCUMENTATION = r"""
module: app_bundle
short_description: Name a release by its content, and make its archives
description:
  - Runs on the control node. The release's id comes from the app's files, its dependencies, the Python version and
    the settings. The archives are made only where they are asked for and not in the cache yet.
options:
  plan: {description: "What app_plan returned.", type: dict, required: true}
  python: {description: "The machine's Python, e.g. 3.11.", type: str, required: true}
  architecture: {description: "The machine's architecture, e.g. x86_64.", type: str, required: true}
  distribution_version: {description: "The machine's Debian release, e.g. 12.", type: str, required: true}
  settings_digest: {description: "A digest of the release's environment file.", type: str, required: true}
  cache: {description: "The directory where archives are kept.", type: path, required: true}
  gunicorn: {description: "Locked requirements of gunicorn, for an app that brings none.", type: path, required: true}
  uv: {description: "The uv program.", type: path, required: true}
  build: {description: "Whether to make the archives.", type: bool, default: false}
author: [Slipway]
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.slipway_app import bundle
from ansible.module_utils.slipway_app.errors import AppError
from ansible.module_utils.slipway_app.source import locked
from ansible.module_utils.slipway_release.release import content_id


def main() -> None:
    """Return ``id`` and the digests; with ``build`` also the archives with their checksums."""
    module = AnsibleModule(
        argument_spec={
            "plan": {"type": "dict", "required": True},
            "python": {"type": "str", "required": True},
            "architecture": {"type": "str", "required": True},
            "distribution_version": {"type": "str", "required": True},
            "settings_digest": {"type": "str", "required": True},
            "cache": {"type": "path", "required": True},
            "gunicorn": {"type": "path", "required": True},
            "uv": {"type": "path", "required": True},
            "build": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    asked, plan = module.params, module.params["plan"]
    cache, gunicorn = Path(asked["cache"]) / "bundles", Path(asked["gunicorn"])
    try:
        on = bundle.platform(asked["architecture"], asked["distribution_version"])
        dependencies = bundle.dependencies_digest(plan, asked["python"], on, gunicorn)
        result = {
            "id": content_id(
                plan
                | {"source": plan["source_digest"], "dependencies": dependencies}
                | {"python": asked["python"], "settings": asked["settings_digest"]}
            ),
            "dependencies_digest": dependencies,
            "changed": False,
        }
        if asked["build"]:
            source_archive = cache / f"source-{plan['source_digest'][:24]}.tar.gz"
            venv_archive = cache / f"venv-{dependencies[:24]}.tar.gz"
            with locked(cache / "lock"):
                if not venv_archive.exists():
                    bundle.build_dependencies(plan, asked["python"], on, asked["uv"], gunicorn, venv_archive)
                if not source_archive.exists():
                    bundle.build_source(plan, source_archive)
            result["archives"] = {
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
    except AppError as error:
        module.fail_json(msg=str(error), variable=error.variable)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
