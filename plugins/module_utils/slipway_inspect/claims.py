"""What an app would take on the machine that somebody else has: to be refused by name before anything is changed."""

from __future__ import annotations

import grp
import pwd
import re
import subprocess
from pathlib import Path

from ansible.module_utils.slipway_inspect import firewall, nginx, postgres, sockets

MARKS = Path("/var/lib/slipway/made")
SRV = Path("/srv")
UNITS = [Path(top, "systemd/system") for top in ("/etc", "/run", "/usr/local/lib", "/usr/lib")]
SYSTEM_IDS = range(1000)
# In each unit that this toolkit writes for an app: the path of its releases, settings or programs.
_OUR_UNIT = r"/srv/{app}/|/etc/slipway/|/usr/local/lib/slipway/|SLIPWAY_"
_NOT_OURS = "was not made by this toolkit."
_EXPECTED = "another app_name"


class Conflict:
    """Something that is somebody else's: what it is called, and what is to be done about it."""

    def __init__(self, thing: str, problem: str, advice: str) -> None:
        self.thing, self.problem, self.advice = thing, problem, advice

    def shown(self) -> dict[str, str]:
        """As the module returns it."""
        return {"thing": self.thing, "message": f"{self.thing}: {self.problem} {self.advice}"}


def marks(app: str) -> set[str]:
    """What this toolkit has written down that it made for the app."""
    return set(postgres.read(MARKS / app).splitlines())


def is_our_user(name: str) -> bool:
    """Whether the account is as this toolkit makes an app's: a system user that cannot log in, at home in /srv/APP."""
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        return False
    return (user.pw_dir, user.pw_shell) == (f"/srv/{name}/shared", "/usr/sbin/nologin") and user.pw_uid in SYSTEM_IDS


def account(name: str) -> str:
    """How an account of the machine is described; empty where there is none."""
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        return ""
    kind = "an account of the system" if user.pw_uid in SYSTEM_IDS else "an account of a person or program"
    return f"{kind}, with the number {user.pw_uid}, the home {user.pw_dir} and the shell {user.pw_shell}"


def group(name: str) -> str:
    """How a group of the machine is described; empty where there is none."""
    try:
        found = grp.getgrnam(name)
    except KeyError:
        return ""
    return f"a group with the number {found.gr_gid} and the members {', '.join(found.gr_mem) or 'of no other account'}"


def unit_files(app: str) -> list[Path]:
    """Units of the names that the app's would have, or that take their place, which are not this toolkit's."""
    ours = re.compile(_OUR_UNIT.format(app=re.escape(app)))
    kinds = r"web@\.(?:socket|service)|(?:deploy|recover)\.service|certificate\.(?:service|timer)"
    names = re.compile(f"{re.escape(app)}-(?:{kinds})")
    return [
        file
        for top in UNITS
        if top.is_dir()
        for file in sorted(top.glob(f"{app}-*"))
        if names.fullmatch(file.name) and not ours.search(postgres.read(file))
    ]


def of_web(app: str, made: set[str]) -> list[Conflict]:
    """What of the app's account, directory and units is somebody else's."""
    if is_our_user(app):
        return []
    found = []
    for thing, description in ((f"user {app}", account(app)), (f"group {app}", group(app))):
        if description and thing not in made:
            found.append(Conflict(thing, f"it exists, as {description}, and {_NOT_OURS}", f"Choose {_EXPECTED}"))
    directory = SRV / app
    thing = f"directory {directory}"
    if (directory.exists() or directory.is_symlink()) and thing not in made:
        found.append(Conflict(thing, f"it exists, and {_NOT_OURS}", f"Move it away, or choose {_EXPECTED}"))
    if f"units {app}" not in made:
        for file in unit_files(app):
            found.append(Conflict(f"unit {file}", f"it exists, and {_NOT_OURS}", f"Choose {_EXPECTED}"))
    return found


def of_site(site: str, made: set[str]) -> list[Conflict]:
    """The site's files that are somebody else's."""
    found = []
    for file in (nginx.ETC / "sites-available" / f"{site}.conf", nginx.ETC / "sites-enabled" / f"{site}.conf"):
        if (file.exists() or file.is_symlink()) and not nginx.is_ours(file) and f"site {site}" not in made:
            found.append(Conflict(f"site {file}", f"it exists, and {_NOT_OURS}", f"Choose {_EXPECTED}"))
    return found


def of_nginx(facts: dict, names: list[str], ports: list[int]) -> list[Conflict]:
    """Where somebody's nginx and the site cannot be served together."""
    found = []
    if facts["lacking"]:
        missing = ", ".join(f"`{line}`" for line in facts["lacking"])
        problem = f"it is somebody's own, and lacks {missing}, which the site needs."
        advice = "Add that to it, or set nginx_conf_take_over to have it replaced"
        found.append(Conflict("file /etc/nginx/nginx.conf", problem, advice))
    for name in names:
        if name.lower() in facts["other_names"]:
            problem = f"{facts['other_names'][name.lower()]} answers to this name already."
            found.append(Conflict(f"server name {name}", problem, "Take it out there, or out of app_domains"))
    taken = [port for port in ports if port in facts["other_ports"]]
    if taken and not names:
        problem = f"{facts['others'][0]} answers at port {taken[0]}, and there is no name to tell the two apart by."
        found.append(Conflict(f"default site of port {taken[0]}", problem, "Set app_domains"))
    return found


def of_ports(ports: list[dict], held: dict[int, list[sockets.Holder]]) -> list[Conflict]:
    """The ports that a process holds which is not in the unit that shall have them."""
    found = []
    for wanted in ports:
        for holder in held.get(wanted["port"], []):
            if holder.unit == wanted["unit"]:
                continue
            how = f" (systemctl disable --now {holder.unit})" if holder.unit.endswith(".service") else ""
            problem = f"{holder} listens there, and {wanted['unit']} shall."
            found.append(Conflict(f"port {wanted['port']}", problem, f"End that{how}, or set {wanted['variable']}"))
    return found


def of_forwarding(ports: list[dict]) -> list[Conflict]:
    """The ports whose connections a translation of addresses leads elsewhere, on a machine with containers."""
    forwarded = firewall.forwarded(firewall.ruleset()) if firewall.bridges() else {}
    return [
        Conflict(
            f"port {wanted['port']}",
            f"the chain {forwarded[wanted['port']]} of nftables leads it elsewhere, as to a container.",
            f"Publish another port, or set {wanted['variable']}",
        )
        for wanted in ports
        if wanted["port"] in forwarded
    ]


def asked(port: int, query: str) -> list[str] | None:
    """What PostgreSQL answers to its own superuser; None where he is not let in, or nobody answers."""
    command = ["runuser", "-u", "postgres", "--", "psql", "-XAtqw", f"--port={port}", "--file=-", "postgres"]
    done = subprocess.run(command, input=query, cwd="/", check=False, capture_output=True, text=True)
    return done.stdout.splitlines() if done.returncode == 0 else None


def of_cluster(facts: dict, version: str, wanted: int, held: dict[int, list[sockets.Holder]]) -> list[Conflict]:
    """Where the cluster that shall have the database is not where the inventory says, or its port is not free."""
    unit, cluster = f"postgresql@{version}-main.service", f"PostgreSQL's cluster {version}/main"
    if facts["cluster"] == "shared" and facts["port"] != wanted:
        advice = f"Set postgres_port: {facts['port']}, which the app is told then"
        return [Conflict(f"port {wanted}", f"{cluster} listens at port {facts['port']}.", advice)]
    advice = f"Set postgres_port to another one, such as {wanted + 1}, which the app is told then"
    for other in postgres.other_clusters(wanted, version):
        return [
            Conflict(
                f"port {wanted}", f"it is the port of PostgreSQL's cluster {other}, and {cluster} needs it.", advice
            )
        ]
    return [
        Conflict(f"port {wanted}", f"{holder} listens there, and {cluster} shall.", advice)
        for holder in held.get(wanted, [])
        if holder.unit != unit
    ]


def of_database(facts: dict, app: str, wanted: int, made: set[str]) -> list[Conflict]:
    """The role and the database of the app's name that are somebody else's."""
    if facts["cluster"] == "new" or (postgres.RULES / f"50-{app}.conf").exists():
        return []
    if {f"role {app}", f"database {app}"} <= made and facts["cluster"] == "ours":
        return []
    query = (
        f"SELECT 'role' FROM pg_roles WHERE rolname = '{app}' UNION ALL "
        f"SELECT 'database' FROM pg_database WHERE datname = '{app}' UNION ALL SELECT 'answered'"
    )
    answer = asked(wanted, query)
    if answer is None:
        if facts["cluster"] == "ours":
            return []  # one that is down is started by the role
        problem = "its superuser is not let in at the socket as the system user postgres, without a password."
        advice = "Start the cluster, and begin its pg_hba.conf with `local all postgres peer`"
        return [Conflict(f"PostgreSQL at port {wanted}", problem, advice)]
    return [
        Conflict(f"{kind} {app}", f"PostgreSQL has one of that name, which {_NOT_OURS}", f"Choose {_EXPECTED}")
        for kind in answer
        if kind != "answered" and f"{kind} {app}" not in made
    ]


def of_admins(admins: list[str], apps: set[str]) -> list[Conflict]:
    """Admins of the inventory that are no people: accounts of the system, and of apps."""
    found = []
    for name in admins:
        description = account(name)
        if name in apps or is_our_user(name):
            found.append(Conflict(f"admin {name}", "it is the account of an app.", "Name a person in base_admins"))
        elif description.startswith("an account of the system"):
            found.append(Conflict(f"admin {name}", f"it is {description}.", "Name a person in base_admins"))
    return found


def would_make(app: str, web: bool, database: bool) -> set[str]:
    """What the app's roles make on a machine, one a line of its mark."""
    of_web_machine = {f"user {app}", f"group {app}", f"directory {SRV / app}", f"units {app}", f"site {app}"}
    return (of_web_machine if web else set()) | ({f"role {app}", f"database {app}"} if database else set())
