"""System users: each with a group of its own name, and without a way to log in."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable

from ansible.module_utils.slipway_light.machine import Module

NOLOGIN = "/usr/sbin/nologin"


def exists(look_up: Callable[[str], object], name: str) -> bool:
    """Whether a user or a group of that name is known."""
    try:
        look_up(name)
    except KeyError:
        return False
    return True


def commands(name: str, home: str) -> list[list[str]]:
    """What makes the user as it shall be; nothing where it is."""
    has_group, has_user = exists(grp.getgrnam, name), exists(pwd.getpwnam, name)
    wanted = [] if has_group else [["groupadd", "--system", name]]
    if not has_user:
        own = ["--gid", name, "--home-dir", home, "--shell", NOLOGIN]
        return [*wanted, ["useradd", "--system", "--no-create-home", *own, name]]
    user = pwd.getpwnam(name)
    right_group = has_group and user.pw_gid == grp.getgrnam(name).gr_gid
    if not right_group or (user.pw_dir, user.pw_shell) != (home, NOLOGIN):
        wanted.append(["usermod", "--gid", name, "--home", home, "--shell", NOLOGIN, name])
    return wanted


def settle(module: Module, users: list[dict]) -> list[str]:
    """Make the users that are missing or differ, and return their names."""
    changed = []
    for user in users:
        wanted = commands(user["name"], user["home"])
        changed += [user["name"]] if wanted else []
        for command in [] if module.check_mode else wanted:
            status, out, err = module.run_command(command)
            if status != 0:
                module.fail_json(msg=f"{' '.join(command)} failed: {(err or out).strip()}")
    return changed
