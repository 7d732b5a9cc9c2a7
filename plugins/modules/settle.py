"""Settle packages, users, files and systemd units of a machine in one round trip instead of one for each of them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: settle
short_description: See that packages, users, files and units are as a role describes them
description:
  - What is described is settled in this order - I(prepare), I(packages), I(users), I(files), I(units). Where all is as
    it shall be, that is looked at only, in the time of one task.
  - A file is validated before it is used, with those before it in its list in place; where one is refused, those of
    the list that were changed before it are put back. Each is replaced by a rename. Missing directories are made. All
    is root's unless it says otherwise. The contents are shown with C(--diff) - it is no place for secrets.
  - Packages are installed in one transaction, without recommended ones, keeping changed configuration files. The lists
    are fetched before, unless that was done within the hour. An installation that was interrupted is finished first. A
    first boot that is still under way and the locks of other programs are waited for. Nothing is needed for that but
    what a bare Debian has (M(ansible.builtin.apt) needs python3-apt).
  - Ansible that is killed between a changed file and its handler leaves a daemon that runs the old configuration, and
    the next run finds every file as it should be. So a unit is called stale when one of its files was changed after it
    was started, and the files are not those that were last recorded with I(loaded).
  - A check of a machine that lacks packages can foresee nothing beyond them, and ends there.
options:
  prepare:
    description: Files that have to be there before the packages are installed.
    type: list
    elements: dict
    default: []
    suboptions: &file
      dest:
        description: Absolute path.
        type: path
        required: true
      content:
        description:
          - The whole text of a file. Empty means that there shall be nothing at this path. C({uid of NAME}) in it
            stands for the number of that user, which is known when the users are there.
        type: str
      block:
        description: Lines that shall be in a file which is somebody else's. Instead of I(content).
        type: str
      topic:
        description: What stands in the lines before and after the block.
        type: str
        default: slipway
      link:
        description: What a symbolic link shall point to, which has to exist. Instead of I(content).
        type: str
      make:
        description: A command that makes what is missing at the path, and is not run where there is something.
        type: list
        elements: str
      directory:
        description: Whether a directory is meant. Instead of I(content).
        type: bool
        default: false
      keep:
        description: Whether a file is meant whose content is somebody else's, such as a log. Instead of I(content).
        type: bool
        default: false
      mode:
        description: Permissions, quoted and octal; 0644 for a file and 0755 for a directory where nothing is said.
        type: str
      owner:
        description: The user whose it is, of a name that the machine knows. Root's where nothing is said.
        type: str
      group:
        description: The group whose it is, of a name that the machine knows. Root's where nothing is said.
        type: str
      validate:
        description: A command that judges the file before it is used; %s stands for its path.
        type: str
      needs_earlier:
        description:
          - Whether the command can only judge the file with the earlier ones of the list in place. A check, which does
            not write those, then leaves it unjudged where one of them differs.
        type: bool
        default: false
      backup:
        description:
          - Whether a file that is replaced or removed is kept as PATH.before-slipway, unless it says "Ansible managed"
            or is as its package brought it. The first one is kept; out of nginx's C(sites-enabled), where everything is
            read, it goes to C(sites-available).
        type: bool
        default: false
      load:
        description:
          - A command that brings the file into force; %s stands for its path. It is run each time, and has to do no
            harm where the file was in force before.
        type: str
  packages:
    description: Debian packages.
    type: list
    elements: str
    default: []
  lock_timeout_seconds:
    description: How long a first boot, and a lock of another program, is waited for, in seconds.
    type: int
    default: 600
  users:
    description: System users, each with a group of its own name and without a way to log in.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The user and its group.
        type: str
        required: true
      home:
        description: Absolute path of its home, which is not made.
        type: path
        required: true
  files:
    description: Files, directories and links, in the order in which they are settled.
    type: list
    elements: dict
    default: []
    suboptions: *file
  units:
    description: systemd units, in the order in which they are settled. It reads its own files again where one needs it.
    type: list
    elements: dict
    default: []
    suboptions: &unit
      name:
        description: The unit, with its suffix.
        type: str
        required: true
      instance_of:
        description:
          - A link. The last word of its target is the instance of I(name), which ends at the at sign and the suffix.
            Where there is no link there is no unit.
        type: path
      enabled:
        description: Whether it shall be enabled. Where nothing is said, that is left as it is.
        type: bool
      started:
        description: Whether it shall be started where it is not active.
        type: bool
        default: false
      paths:
        description:
          - Files, and directories with all that is in them, that the unit has to have read. A path that does not exist
            is no file.
        type: list
        elements: path
        default: []
      topic:
        description: What the unit is called in I(stale); its name where nothing is said.
        type: str
      required:
        description: Whether it is stale too where it is not active.
        type: bool
        default: false
      probe:
        description: A command; where it fails the unit is stale too.
        type: list
        elements: str
        default: []
      when_stale:
        description:
          - What is done where it is stale. It is not in I(stale) then, and is recorded as loaded. Where nothing is
            said, that is left to a handler.
        type: str
        choices: [reload, restart]
      reload_log:
        description:
          - The log of a daemon whose reload replaces its children, as nginx's does. The reload is over when none of the
            former ones is left but those that are shutting down. Where that does not come within half a minute, as
            with a port that is somebody else's, the task fails with what the log has got meanwhile.
        type: path
      judge:
        description: A command that is asked before. Where it fails nothing is done, and the task fails with its words.
        type: list
        elements: str
        default: []
  loaded:
    description: Units that have read their files just now. What makes them read ends with this; nothing else is done.
    type: list
    elements: dict
    default: []
    suboptions: *unit
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
"""

EXAMPLES = r"""
- name: Serve what is in /srv/www
  settle:
    packages: [nginx]
    files:
      - {dest: /srv/www, directory: true}
      - dest: /etc/nginx/conf.d/www.conf
        content: "{{ lookup('ansible.builtin.template', 'www.conf.j2') }}"
    units:
      - {name: nginx.service, enabled: true, started: true, paths: [/etc/nginx], judge: [nginx, -t], when_stale: reload}
"""

RETURN = r"""
missing:
  description: The packages that were not installed before.
  type: list
  elements: str
  returned: always
changed_files:
  description: The paths that were made, written, changed or removed.
  type: list
  elements: str
  returned: always
stale:
  description: The topics of the units that have not read what is on disk.
  type: list
  elements: str
  returned: always
done:
  description: What was done to which unit.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.slipway_light.machine import Module
from ansible.module_utils.slipway_settle import files as its_files
from ansible.module_utils.slipway_settle import packages as its_packages
from ansible.module_utils.slipway_settle import units as its_units
from ansible.module_utils.slipway_settle import users as its_users

FILE = {
    "dest": {"type": "path", "required": True},
    "content": {"type": "str"},
    "block": {"type": "str"},
    "topic": {"type": "str", "default": "slipway"},
    "link": {"type": "str"},
    "make": {"type": "list", "elements": "str"},
    "directory": {"type": "bool", "default": False},
    "keep": {"type": "bool", "default": False},
    "mode": {"type": "str"},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "validate": {"type": "str"},
    "needs_earlier": {"type": "bool", "default": False},
    "backup": {"type": "bool", "default": False},
    "load": {"type": "str"},
}
UNIT = {
    "name": {"type": "str", "required": True},
    "instance_of": {"type": "path"},
    "enabled": {"type": "bool"},
    "started": {"type": "bool", "default": False},
    "paths": {"type": "list", "elements": "path", "default": []},
    "topic": {"type": "str"},
    "required": {"type": "bool", "default": False},
    "probe": {"type": "list", "elements": "str", "default": []},
    "when_stale": {"type": "str", "choices": ["reload", "restart"]},
    "reload_log": {"type": "path"},
    "judge": {"type": "list", "elements": "str", "default": []},
}
USER = {"name": {"type": "str", "required": True}, "home": {"type": "path", "required": True}}


def listed(options: dict) -> dict:
    """The specification of a list of things that are described by these options."""
    return {"type": "list", "elements": "dict", "options": options, "default": []}


ARGUMENTS = {
    "prepare": listed(FILE),
    "packages": {"type": "list", "elements": "str", "default": []},
    "lock_timeout_seconds": {"type": "int", "default": 600},
    "users": listed(USER),
    "files": listed(FILE),
    "units": listed(UNIT),
    "loaded": listed(UNIT),
}


def names_of(wanted: dict) -> list[str]:
    """The names of what is settled: the machine's log gets them, and not the contents."""
    paths = [file["dest"] for key in ("prepare", "files") for file in wanted[key]]
    units = [unit["name"] for key in ("units", "loaded") for unit in wanted[key]]
    return [*wanted["packages"], *paths, *units]


def run(module: Module) -> None:
    """Run as a light module."""
    wanted = module.params
    module.log(f"Invoked for {' '.join(names_of(wanted))}")
    if wanted["loaded"]:
        if not module.check_mode:
            its_units.Units(module, wanted["loaded"]).record()
        module.exit_json(changed=False, missing=[], changed_files=[], stale=[], done=[])
    prepared = its_files.settle(module, wanted["prepare"])
    names, timeout = wanted["packages"], wanted["lock_timeout_seconds"]
    missing, interrupted = its_packages.Packages(module, names, timeout).settle() if names else ([], False)
    if missing and module.check_mode:
        module.exit_json(
            changed=True, missing=missing, changed_files=prepared.changed, diff=prepared.diff, stale=[], done=[]
        )
    users = its_users.settle(module, wanted["users"])
    written = its_files.settle(module, wanted["files"])
    units = its_units.Units(module, wanted["units"]).settle()
    changed_files = prepared.changed + written.changed
    module.exit_json(
        changed=bool(missing or interrupted or users or changed_files or units.done or units.stale),
        missing=missing,
        changed_files=changed_files,
        stale=units.stale,
        done=units.done,
        diff=prepared.diff + written.diff,
    )
