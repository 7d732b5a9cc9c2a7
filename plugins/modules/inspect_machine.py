"""Inspect what a machine has before a role changes it: what is somebody else's, and what is this toolkit's own."""

from __future__ import annotations

DOCUMENTATION = r"""
module: inspect_machine
short_description: Say what is on a machine already, and whose it is
description:
  - Changes nothing, and needs nothing but what a bare Debian has. Each option asks for one answer, and nothing else is
    inspected.
  - This toolkit's own things are known by a mark in /var/lib/slipway/made/APP, which the role C(existing) writes, and
    where there is none by their form, as earlier versions made them.
options:
  claims:
    description: What an app will take, or give back. Where somebody else has one of these, that is a conflict.
    type: dict
    suboptions:
      app:
        description: The app - its account, group, directory in /srv, units, site, database and role.
        type: str
        required: true
      web:
        description: Whether the machine serves it.
        type: bool
        default: false
      database:
        description: Whether the machine has its database.
        type: bool
        default: false
      removing:
        description: Whether all of it is to be removed. Ports and names are of no interest then.
        type: bool
        default: false
      ports:
        description: Ports that a unit has to get, each with the variable that names another one.
        type: list
        elements: dict
        default: []
        suboptions:
          port:
            description: The TCP port.
            type: int
            required: true
          unit:
            description: The unit that may hold it already.
            type: str
            required: true
          variable:
            description: The variable.
            type: str
            required: true
      server_names:
        description: The names that the site answers to.
        type: list
        elements: str
        default: []
      nginx_conf_replaced:
        description: Whether a changed nginx.conf is replaced, so that nothing can be missing in it.
        type: bool
        default: false
      admins:
        description: The people whose accounts are managed.
        type: list
        elements: str
        default: []
      cluster_version:
        description: The version of the cluster C(main).
        type: str
        default: ""
      database_port:
        description: The port that the inventory says of it.
        type: int
        default: 5432
  nginx:
    description: A site, for which the answer says what is there of it, and what it has to leave to others.
    type: dict
    suboptions:
      site:
        description: Its short name.
        type: str
        required: true
      certificates:
        description: The directory of its certificates.
        type: path
        required: true
      maintenance_flag:
        description: The file that says that maintenance is on.
        type: path
        required: true
      drop_in:
        description: The file that confines nginx.
        type: path
        required: true
  postgres:
    description: The cluster and the role, for which the answer says what is there beside them.
    type: dict
    suboptions:
      version:
        description: The version of the cluster C(main).
        type: str
        required: true
      role:
        description: The role, whose own rules are left out.
        type: str
        required: true
  sshd:
    description: Whether to say which settings sshd has in effect.
    type: bool
    default: false
  firewall:
    description: Whether to say who decides which packets come in; needs I(sshd).
    type: bool
    default: false
  take_over:
    description: Whether this toolkit's firewall shall decide alone, so that nobody else's is of interest.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Look who has what the app will take
  inspect_machine:
    claims: {app: shop, web: true, ports: [{port: 80, unit: nginx.service, variable: nginx_http_port}]}
  register: existing
"""

RETURN = r"""
conflicts:
  description: What is somebody else's; its name (thing) and a message each.
  type: list
  elements: dict
  returned: always
mark:
  description: All lines of the app's mark, where some are missing in it.
  type: list
  elements: str
  returned: always
nginx:
  description: Whose nginx.conf is (main), and what others serve, by which ports and names.
  type: dict
  returned: always
postgres:
  description: Whose the cluster is, its port, settings and rules, and the rules of the other apps.
  type: dict
  returned: always
stdout_lines:
  description: What sshd prints of its settings.
  type: list
  elements: str
  returned: always
firewall:
  description: Whose rules decide, and what could be reached before ours did.
  type: dict
  returned: always
"""

from ansible.module_utils.slipway_inspect import claims as its_claims
from ansible.module_utils.slipway_inspect import firewall as its_firewall
from ansible.module_utils.slipway_inspect import nginx as its_nginx
from ansible.module_utils.slipway_inspect import postgres as its_postgres
from ansible.module_utils.slipway_inspect import sockets as its_sockets
from ansible.module_utils.slipway_light.machine import Module

PORT = {
    "port": {"type": "int", "required": True},
    "unit": {"type": "str", "required": True},
    "variable": {"type": "str", "required": True},
}
CLAIMS = {
    "app": {"type": "str", "required": True},
    "web": {"type": "bool", "default": False},
    "database": {"type": "bool", "default": False},
    "removing": {"type": "bool", "default": False},
    "ports": {"type": "list", "elements": "dict", "options": PORT, "default": []},
    "server_names": {"type": "list", "elements": "str", "default": []},
    "nginx_conf_replaced": {"type": "bool", "default": False},
    "admins": {"type": "list", "elements": "str", "default": []},
    "cluster_version": {"type": "str", "default": ""},
    "database_port": {"type": "int", "default": 5432},
}
POSTGRES = {"version": {"type": "str", "required": True}, "role": {"type": "str", "required": True}}
NGINX = {
    "site": {"type": "str", "required": True},
    "certificates": {"type": "path", "required": True},
    "maintenance_flag": {"type": "path", "required": True},
    "drop_in": {"type": "path", "required": True},
}
ARGUMENTS = {
    "claims": {"type": "dict", "options": CLAIMS},
    "nginx": {"type": "dict", "options": NGINX},
    "postgres": {"type": "dict", "options": POSTGRES},
    "sshd": {"type": "bool", "default": False},
    "firewall": {"type": "bool", "default": False},
    "take_over": {"type": "bool", "default": False},
}


def conflicts_of(wanted: dict) -> tuple[list[dict[str, str]], list[str]]:
    """What somebody else has of what an app will take, and its mark where that lacks a line."""

    app, web, database, removing = (wanted[name] for name in ("app", "web", "database", "removing"))
    made = its_claims.marks(app)
    ports = wanted["ports"] if web and not removing else []
    own_port = wanted["database_port"]
    listening = its_sockets.listeners() if not removing else []
    held = its_sockets.holders_of([port["port"] for port in ports] + ([own_port] if database else []), listening)
    found = its_claims.of_admins(wanted["admins"], {app}) + its_claims.of_ports(ports, held)
    found += its_claims.of_forwarding(ports)
    if web:
        found += its_claims.of_web(app, made) + its_claims.of_site(app, made)
    if ports:
        numbers = [port["port"] for port in ports]
        facts = its_nginx.facts(app) | ({"lacking": []} if wanted["nginx_conf_replaced"] else {})
        found += its_claims.of_nginx(facts, wanted["server_names"], numbers)
    if database:
        version = wanted["cluster_version"]
        facts = its_postgres.facts(version, app)
        wrong = [] if removing else its_claims.of_cluster(facts, version, own_port, held)
        found += wrong or its_claims.of_database(facts, app, own_port, made)
    mark = made | its_claims.would_make(app, web, database)
    return [conflict.shown() for conflict in found], sorted(mark) if mark != made else []


def run(module: Module) -> None:
    """Run as a light module."""
    wanted = module.params
    result: dict = {"conflicts": [], "mark": [], "nginx": {}, "postgres": {}, "stdout_lines": [], "firewall": {}}
    if wanted["claims"]:
        result["conflicts"], result["mark"] = conflicts_of(wanted["claims"])
    if wanted["nginx"]:
        result["nginx"] = its_nginx.facts(wanted["nginx"]["site"]) | its_nginx.own_things(wanted["nginx"])
    if wanted["postgres"]:
        result["postgres"] = its_postgres.facts(wanted["postgres"]["version"], wanted["postgres"]["role"])
    if wanted["sshd"]:
        _, out, _ = module.run_command(["sshd", "-T"], check_rc=True)
        result["stdout_lines"] = out.splitlines()
    if wanted["firewall"]:
        ports = [int(line.split()[1]) for line in result["stdout_lines"] if line.startswith("port ")]
        result["firewall"] = its_firewall.facts(ports, wanted["take_over"])
    module.exit_json(changed=False, **result)
