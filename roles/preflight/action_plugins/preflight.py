"""Judge an inventory as a whole, on the control node, before any machine is asked anything.

What a role's variables are called and what they hold is read from its meta/argument_specs.yml; only what no
argument spec can say (forms, secrets, groups, placeholders, misspelt names) is written here.
"""

from __future__ import annotations

import difflib
import os
import re
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import yaml
from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

PLACEHOLDER = "CHANGE_ME"
# Which groups' machines a role is applied to.
ROLES = {
    "existing": ("web", "db"),
    "base": ("web", "db"),
    "postgres": ("db",),
    "gunicorn": ("web",),
    "nginx": ("web",),
    "certificate": ("web",),
    "app": ("web",),
}
# Names of the contract that belong to no role alone.
SHARED = {
    "tls_mode": {"type": "str", "choices": ["selfsigned", "acme", "provided", "off"]},
    "app_allow_outbound": {"type": "list", "elements": "str"},
}
PREFIXES = (*(f"{role}_" for role in ROLES), "tls_", "vault_app_", "vault_postgres_")
NAME_FORM = "[a-z][a-z0-9-]{0,30}, e.g. guestbook"
# Names that an app cannot have, for its account, group, units, database and role would be somebody's. Those that cannot
# be an app's for their form, such as pg_monitor, are left out.
_ACCOUNTS = """
    root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc nobody adm tty disk kmem
    dialout fax voice cdrom floppy tape sudo audio dip operator src shadow utmp video sasl plugdev staff users
    nogroup input sgx kvm render crontab ssh sshd messagebus ssl-cert nginx netdev bluetooth systemd-network
    systemd-journal systemd-timesync systemd-resolve systemd-coredump polkitd tcpdump uuidd tss dnsmasq avahi redis
    valkey memcache rabbitmq mysql mongodb elasticsearch opendkim postfix dovecot dovenull ftp git docker lxd
    libvirt libvirt-qemu wheel admin debian sbuild capsule gnats identd fwupd-refresh
"""
_DATABASES = """
    postgres public none user all sameuser samerole samegroup replication template0 template1 primary standby
    default current session
"""
_UNITS = """
    systemd dbus dbus-org cron anacron atd nftables iptables ufw firewalld fail2ban docker containerd podman
    networking network network-online resolvconf ifup ifupdown udev getty serial-getty console-getty container-getty
    autovt user-runtime-dir modprobe machine tmp run-lock swap basic multi-user graphical rescue emergency reboot
    poweroff halt kexec suspend sleep shutdown sockets timers paths slices local-fs remote-fs sysinit time-sync
    rsyslog syslog journald logrotate apt-daily apt-daily-upgrade dpkg-db-backup unattended-upgrades e2scrub fstrim
    procps rpcbind nfs-server cloud-init cloud-config cloud-final apache2 postgresql pgbouncer patroni etcd haproxy
    certbot auditd sysstat smartmontools chrony ntp ntpsec exim4 snapd wpa-supplicant qemu-guest-agent
"""
# Of accounts, those that a cloud makes for a person's first login.
_CLOUD_ADMINS = ("admin", "debian")
RESERVED = (
    dict.fromkeys(_UNITS.split(), "a unit of systemd's or of Debian's")
    | dict.fromkeys(_DATABASES.split(), "a role, database or keyword of PostgreSQL's")
    | dict.fromkeys(_ACCOUNTS.split(), "a user or group of Debian's own")
    | {"slipway": "this toolkit itself"}
)
NO_ADMINS = frozenset(_ACCOUNTS.split()).difference(_CLOUD_ADMINS)
KNOWN_KEYS = frozenset(
    word.lower()
    for word in (
        "dev",
        "secret",
        "secret-key",
        "secretkey",
        "my-secret-key",
        "your-secret-key",
        "your_secret_key",
        "changeme",
        "change-me",
        "change_me",
        "supersecret",
        "super-secret",
        "super secret key",
        "mysecretkey",
        "default",
        "you-will-never-guess",
        "hard to guess string",
        "this-is-a-secret-key",
        "dev-secret-key",
        "development key",
        "insecure",
        "password",
        "test",
        "testing",
        "sample",
        "example",
        # Printed in Flask's own documentation, and copied from there.
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    )
)
TLS_FILES = ("postgres_tls_certificate", "postgres_tls_key", "postgres_tls_ca")
_TLS_NAME = re.compile(r"[0-9A-Za-z_.:-]+")
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DOMAIN = re.compile(rf"^(\*\.)?{_LABEL}(\.{_LABEL})*\.?$|^[0-9A-Fa-f:.]+$")
_WAY_OUT = re.compile(r"resolver|https|database|any|[0-9]{1,5}/(tcp|udp)( to [0-9A-Fa-f:.]+(/[0-9]{1,3})?)?")


class Inventory:
    """The files that an inventory is written in, to say where a variable stands."""

    def __init__(
        self, sources: Iterable[str], groups: Iterable[str], hosts: Iterable[str], playbook_directory: str
    ) -> None:
        self.sources = [Path(source) for source in sources if os.path.exists(source)]
        beside = [source if source.is_dir() else source.parent for source in self.sources]
        self.files = [source for source in self.sources if source.is_file()]
        # Last is what wins: a group's own file goes before what all have, which the project's wiring is part of.
        own = [group for group in groups if group != "all"]
        for kind, names in (("group_vars", ["all"]), ("group_vars", own), ("host_vars", hosts)):
            for top in dict.fromkeys([*beside, Path(playbook_directory)]):
                for name in names:
                    self.files += self._below(top / kind / name)

    @staticmethod
    def _below(stem: Path) -> list[Path]:
        """Return the variable files of a group or host: a file with or without a suffix, or all in a directory."""
        if stem.is_dir():
            return sorted(path for path in stem.rglob("*") if path.is_file())
        return [
            path
            for path in (stem, stem.with_name(stem.name + ".yml"), stem.with_name(stem.name + ".yaml"))
            if path.is_file()
        ]

    def lines(self) -> Iterable[tuple[Path, int, str]]:
        """Yield every line that is no comment, with its file and number."""
        for file in self.files:
            text = file.read_text(encoding="utf-8", errors="replace")
            if text.startswith("$ANSIBLE_VAULT"):
                continue
            for number, line in enumerate(text.splitlines(), 1):
                if not line.lstrip().startswith(("#", ";")):
                    yield file, number, line

    def where(self, name: str) -> str:
        """Return "file:line" of the last place that sets a variable; "" where no file does."""
        pattern = re.compile(rf"(?:^|[\s{{,])[\"']?{re.escape(name)}[\"']?\s*[:=]")
        found = [f"{os.path.relpath(file)}:{number}" for file, number, line in self.lines() if pattern.search(line)]
        return found[-1] if found else ""

    def placeholders(self) -> list[str]:
        """Return "file:line: text" of every placeholder that nobody replaced."""
        return [
            f"{os.path.relpath(file)}:{number}: {line.strip()}"
            for file, number, line in self.lines()
            if PLACEHOLDER in line
        ]

    def place(self) -> str:
        """Return where a person would set a variable that is missing."""
        source = self.sources[0] if self.sources else Path("inventory/prod")
        return os.path.relpath((source if source.is_dir() else source.parent) / "group_vars")


class Judge:
    """Collects what is wrong with an inventory, each with its variable, place and expected form."""

    def __init__(self, inventory: Inventory, unset: Iterable[str] = ()) -> None:
        self.inventory = inventory
        self.problems: list[str] = []
        # Settings that set-config.yml is told to take away, by null.
        self.unset = unset

    def wrong(self, name: str, what: str, expected: str = "", key: str = "") -> None:
        """Note a variable's problem once, however many machines have it."""
        where = self.inventory.where(key or name)
        place = where or f"not set in any file; set it below {self.inventory.place()}/"
        text = f"{name} ({place}): {what}" + (f" Expected: {expected}." if expected else "")
        if text not in self.problems:
            self.problems.append(text)

    def groups(self, groups: Mapping[str, list[str]]) -> None:
        """Judge the groups: web must be there; one database server at the most."""
        if not groups.get("web"):
            files = ", ".join(os.path.relpath(source) for source in self.inventory.sources) or "the inventory"
            self.problems.append(
                f"group web ({files}): there is no machine in it, so there is nothing to serve the app from."
                " Expected: a section [web] with a line for each machine (and [db] for PostgreSQL)."
            )
        if len(groups.get("db") or []) > 1:
            self.problems.append(
                "group db: it has several machines. Expected: one, the machine that PostgreSQL runs on."
            )

    def placeholders(self) -> None:
        """Judge the example inventory's lines that wait to be edited."""
        self.problems += [f"{line}\n    Replace {PLACEHOLDER} there." for line in self.inventory.placeholders()]

    def names(self, names: Iterable[str], known: Mapping[str, object]) -> None:
        """Judge the names: one of ours that no role has is a slip of the keyboard."""
        for name in sorted(set(names) - set(known)):
            if name.startswith(("ansible_", "__", "vault_")):
                continue
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.6 if name.startswith(PREFIXES) else 0.86)
            if name.startswith(PREFIXES):
                hint = (
                    f"Did you mean {near[0]}?"
                    if near
                    else "Names that begin so are Slipway's own; call yours otherwise."
                )
                self.wrong(name, f"there is no such variable. {hint}")
            elif near:
                self.wrong(name, f"there is no such variable. Did you mean {near[0]}?")

    def types(self, name: str, value: object, spec: Mapping) -> bool:
        """Judge a value by its role's argument spec; True where it fits."""
        result = ArgumentSpecValidator({name: _plain(spec)}).validate({name: value})
        for message in result.error_messages:
            self.wrong(name, message.rstrip(".") + ".", str(spec.get("type", "str")))
        return not result.error_messages

    def app(self, values: Mapping[str, object]) -> None:
        """Judge what the types of an app's settings do not say."""
        name = values.get("app_name")
        if not name:
            self.wrong("app_name", "it is not set.", NAME_FORM)
        elif not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", str(name)):
            self.wrong("app_name", f"{name!r} cannot name a system user, units, paths and a database.", NAME_FORM)
        elif name in RESERVED or str(name).startswith("systemd-"):
            whose = RESERVED.get(name, "a unit of systemd's or of Debian's")
            self.wrong("app_name", f"{name!r} is the name of {whose}.", f"another name, {NAME_FORM}")
        if not values.get("app_source"):
            self.wrong(
                "app_source",
                "it is not set, so there is nothing to deploy.",
                "a directory on this computer, or a git URL",
            )
        for domain in values.get("app_domains") or []:
            if not _DOMAIN.match(str(domain)):
                self.wrong(
                    "app_domains", f"{domain!r} is no server name.", "a list such as [www.example.com, example.com]"
                )
        if values.get("tls_mode") == "acme":
            self.acme(values)
        if not str(values.get("app_health_path", "/")).startswith("/"):
            self.wrong("app_health_path", f"{values['app_health_path']!r} is no path.", "a path such as /healthz")
        for entry in values.get("app_static") or []:
            url, path = str(entry.get("url", "")), str(entry.get("path", ""))
            if not re.fullmatch(r"/[\w./-]*/", url) or not path or path.startswith("/") or ".." in path.split("/"):
                self.wrong(
                    "app_static",
                    f"{dict(entry)!r} says not which URLs and directory it means.",
                    "[{url: /static/, path: static}]",
                )
        for way in values.get("app_allow_outbound") or []:
            if not _WAY_OUT.fullmatch(str(way)):
                self.wrong(
                    "app_allow_outbound",
                    f"{way!r} is no way out.",
                    'a list of resolver, https, database, any, 587/tcp or "6379/tcp to 192.0.2.7"',
                )
        for variable in ("app_environment", "app_secrets"):
            self.settings(variable, values.get(variable) or {})

    def admins(self, values: Mapping[str, object]) -> None:
        """Judge whether the admins are people."""
        for name in [str(admin.get("name", "")) for admin in values.get("base_admins") or []]:
            if name in NO_ADMINS or name == values.get("app_name"):
                whose = RESERVED.get(name, "the app")
                self.wrong("base_admins", f"{name!r} is the name of {whose}.", "the names of people")

    def acme(self, values: Mapping[str, object]) -> None:
        """Judge whether an ACME authority can issue a certificate for the app's names."""
        form = "tls_mode acme needs a list of names such as [www.example.com, example.com]"
        if not values.get("app_domains"):
            self.wrong("app_domains", "there is no name to get a certificate for.", form)
        for domain in map(str, values.get("app_domains") or []):
            if domain.startswith("*"):
                self.wrong("app_domains", f"{domain!r} has a wildcard, which no challenge by http can prove.", form)
            elif ":" in domain or re.fullmatch(r"[0-9.]+", domain):
                self.wrong("app_domains", f"{domain!r} is an address, not a name.", form)
        email, url = str(values.get("certificate_email") or ""), str(values.get("certificate_directory_url", "https:"))
        if email and not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
            self.wrong("certificate_email", f"{email!r} is no e-mail address.", "an address such as ops@example.com")
        if not url.startswith("https:"):
            self.wrong("certificate_directory_url", f"{url!r} is no directory.", "a URL that begins with https://")

    def database(self, host: str, values: Mapping[str, object]) -> None:
        """Judge how a web machine that is not the database's own gets to it."""
        if not any("DATABASE_URL" in (values.get(name) or {}) for name in ("app_environment", "app_secrets")):
            self.wrong(
                "app_secrets.DATABASE_URL",
                f"{host} is not the machine of the group db, so that it must be told the way there.",
                "postgresql://APP:PASSWORD@ADDRESS:5432/APP, and postgres_clients and postgres_password;"
                " see docs/runbooks/add-a-machine.md",
                key="DATABASE_URL",
            )

    def verification(self, values: Mapping[str, object], database: Mapping[str, object]) -> None:
        """Judge whether each connection to a PostgreSQL says, or is told, how the server is verified.

        ``values`` are a web machine's, ``database`` those of the machine of the group db. The app is told by PGSSLMODE,
        which holds for every URL that says nothing itself; a URL is never printed, since a password is in it.
        """
        settings = {**(values.get("app_environment") or {}), **(values.get("app_secrets") or {})}
        if not database.get("postgres_clients") or "PGSSLMODE" in settings:
            return
        if "ssl_cert_file" in (database.get("postgres_settings") or {}):
            return
        names = [str(name) for name in database.get("postgres_tls_names") or []]
        if not names:
            return  # said already
        for name, value in settings.items():
            host = _postgres_host(str(value))
            verified = bool(values.get("app_database_ca")) and host in names
            if host and not verified and (name == "DATABASE_URL" or values.get("app_database_ca")):
                self.wrong(
                    name,
                    f"it leads to {host}, which is none of postgres_tls_names ({', '.join(names)}), and says nothing of"
                    " how that is verified.",
                    "one of these names; or that name in postgres_tls_names, if it is the machine of the group db; or"
                    " sslmode=... in the URL, if it is another",
                )

    def postgres(self, values: Mapping[str, object]) -> None:
        """Judge the names and the files of PostgreSQL's certificate."""
        names = values.get("postgres_tls_names") if values.get("postgres_clients") else None
        if names is not None and (not names or any(not _TLS_NAME.fullmatch(str(name)) for name in names)):
            self.wrong(
                "postgres_tls_names",
                f"{list(map(str, names))} is no list of names.",
                "host names and addresses such as [db1.example.com, 10.0.0.10]",
            )
        given = [name for name in TLS_FILES if values.get(name)]
        for name in TLS_FILES:
            if given and name not in given:
                self.wrong(name, f"it is not set, and {given[0]} is.", "three PEM files, or none of them")

    def settings(self, variable: str, settings: Mapping[str, object]) -> None:
        """Judge an app's own settings; the values of secrets are never named."""
        for name, value in settings.items():
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(name)):
                self.wrong(variable, f"{name!r} is no name of a setting.", "letters, digits and _")
            elif (value is None and name not in self.unset) or isinstance(value, (list, dict)):
                self.wrong(
                    variable, f"the value of {name} is no text.", "a string, a number or a boolean", key=str(name)
                )
            elif "\0" in str(value):
                self.wrong(
                    variable, f"the value of {name} has a NUL byte, which no environment can hold.", key=str(name)
                )
        if "SECRET_KEY" in settings:
            self.secret_key(f"{variable}.SECRET_KEY", str(settings["SECRET_KEY"]))
        if str(settings.get("FLASK_DEBUG", "0")).lower() not in ("0", "false", "no", ""):
            self.wrong(
                f"{variable}.FLASK_DEBUG",
                "it would open a console to everybody.",
                '"0", or no such line',
                key="FLASK_DEBUG",
            )

    def secret_key(self, name: str, value: str) -> None:
        """Judge a SECRET_KEY without ever printing it."""
        expected = (
            "no such line (one is generated and kept in the vault), or the output of"
            " python3 -c 'import secrets; print(secrets.token_hex())'"
        )
        if value.strip().lower() in KNOWN_KEYS or re.match(r"(?i)^(change|replace|your)[ _-]?", value):
            self.wrong(name, "it is a sample that everybody knows.", expected, key=name.rpartition(".")[2])
        elif len(value) < 32:
            self.wrong(
                name, f"it has {len(value)} characters, which can be guessed.", expected, key=name.rpartition(".")[2]
            )
        elif len(set(value)) < 10:
            self.wrong(
                name,
                f"it repeats {len(set(value))} characters, which can be guessed.",
                expected,
                key=name.rpartition(".")[2],
            )


def _postgres_host(url: str) -> str:
    """Return which machine a PostgreSQL URL leads to; "" for a socket, another URL, or one that says its sslmode."""
    try:
        parts = urlsplit(url)
        asked = parse_qs(parts.query)
    except ValueError:
        return ""
    if not re.fullmatch(r"postgres(ql)?([+]\w+)?", parts.scheme) or {"sslmode", "ssl"} & set(asked):
        return ""
    # Not parts.hostname, which is in lower case and ends where a password has a bracket.
    host = asked.get("host", [re.sub(r":[0-9]*$", "", parts.netloc.rpartition("@")[2])])[0]
    return "" if host.startswith("/") else host.strip("[]")


def _plain(spec: Mapping) -> dict:
    """Return an argument spec as ArgumentSpecValidator takes it: without its prose."""
    plain = {key: value for key, value in spec.items() if key in ("type", "choices", "elements", "required")}
    if "options" in spec:
        plain["options"] = {name: _plain(option) for name, option in spec["options"].items()}
    return plain


class ActionModule(ActionBase):
    """Fail with all that is wrong with the inventory; no machine is asked anything.

    Arguments: ``roles``, the directory of the roles; or ``explain``, the result of a failed task on the control
    node, which fails once more with the place of the variable that it names.
    """

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """See the class."""
        super().run(tmp, task_vars)
        groups = task_vars["groups"]
        machines = sorted({host for names in ROLES.values() for group in names for host in groups.get(group) or []})
        inventory = Inventory(task_vars["ansible_inventory_sources"], groups, machines, task_vars["playbook_dir"])
        told = load_extra_vars(self._loader).get("app_environment")
        judge = Judge(
            inventory, [name for name, value in told.items() if value is None] if isinstance(told, dict) else []
        )
        if "explain" in self._task.args:
            failed = self._task.args["explain"]
            variable = str(failed.get("variable") or "").split(" ")[0]
            place = inventory.where(variable) or f"not set in any file; set it below {inventory.place()}/"
            return {
                "failed": True,
                "msg": failed["msg"] + (f"\n{variable}: {place}. No machine was touched." if variable else ""),
            }
        specs, defaults = self._roles(Path(self._task.args["roles"]))
        judge.placeholders()
        judge.groups(groups)
        known = {name: spec for role in specs.values() for name, spec in role.items()} | SHARED
        databases = groups.get("db") or []
        # The database's machine first: what it is called is asked of the others.
        for host in sorted(machines, key=lambda host: host not in databases) if not judge.problems else []:
            raw = task_vars["hostvars"].raw_get(host)
            judge.names(raw, known)
            values = self._values({**raw, "hostvars": task_vars["hostvars"]}, defaults, known, judge)
            for role, members in ROLES.items():
                if not any(host in (groups.get(group) or []) for group in members):
                    continue
                for name, spec in (specs[role] | SHARED).items():
                    if name in raw and name in values and values[name] is not None:
                        judge.types(name, values[name], spec)
            judge.admins(values)
            if host in databases:
                database = values
                judge.postgres(values)
                self._files(values, judge)
            if host in (groups.get("web") or []):
                judge.app(values)
                if databases and host not in databases:
                    judge.database(host, values)
                if databases:
                    judge.verification(values, database)
        if judge.problems:
            count = len(judge.problems)
            things = "1 thing" if count == 1 else f"{count} things"
            head = f"The inventory is not ready ({things} to change; no machine was touched):"
            return {
                "failed": True,
                "changed": False,
                "msg": "\n".join([head, *(f"  - {problem}" for problem in judge.problems)]),
            }
        return {"changed": False, "msg": f"The inventory can be used: {len(machines)} machine(s)."}

    @staticmethod
    def _roles(directory: Path) -> tuple[dict, dict]:
        """Return every role's argument spec, and the defaults of all of them."""
        specs, defaults = {}, {}
        for role in ROLES:
            spec = yaml.safe_load((directory / role / "meta" / "argument_specs.yml").read_text())
            specs[role] = spec["argument_specs"]["main"]["options"]
            defaults |= yaml.safe_load((directory / role / "defaults" / "main.yml").read_text()) or {}
        return specs, defaults

    def _files(self, values: Mapping, judge: Judge) -> None:
        """Judge by OpenSSL whether PostgreSQL's provided certificate, its key and its CA can be used."""
        real = {}
        for name in TLS_FILES if all(values.get(name) for name in TLS_FILES) else ():
            try:
                real[name] = self._loader.get_real_file(self._find_needle("files", str(values[name])))
            except AnsibleError as error:
                judge.wrong(name, f"{values[name]} cannot be read: {' '.join(str(error).split())}", "a PEM file here")
        if len(real) < len(TLS_FILES):
            return
        certificate, key, ca = (real[name] for name in TLS_FILES)
        try:
            # A key with a passphrase of its own is none that PostgreSQL could start with.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, lambda: "")
        except (OSError, ValueError) as error:
            judge.wrong(TLS_FILES[0], f"it and postgres_tls_key cannot be used: {error}.", "a certificate and its key")
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(ca)
        except OSError as error:
            judge.wrong(TLS_FILES[2], f"it cannot be used: {error}.", "a CA's certificate")
        for file in real.values():
            self._loader.cleanup_tmp_file(file)

    def _values(self, raw: Mapping, defaults: Mapping, known: Mapping, judge: Judge) -> dict:
        """Return what a machine's variables of ours come to; what needs the machine's facts is left out."""
        templar = self._templar.copy_with_new_env(available_variables={**defaults, **raw})
        values = {}
        for name in known:
            if name not in raw:
                continue
            try:
                values[name] = templar.template(raw[name])
            except AnsibleError as error:
                text = " ".join(str(error).split())
                if "ansible_facts" in text:
                    continue
                if "app_name" in text and "app_name" not in raw:
                    continue  # said already, and once is enough
                judge.wrong(name, f"{text.rstrip('.')}.")
        return values
