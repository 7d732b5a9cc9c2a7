"""Fresh throw-away machines for a measurement, and an inventory of them: systemd in Docker, reached over ssh."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
# What scripts/demo gives its machine.
OPTIONS = [
    "--cgroupns=host",
    "--security-opt=seccomp=unconfined",
    *(f"--cap-add={name}" for name in ("SYS_ADMIN", "SYS_PTRACE", "NET_ADMIN")),
    "--stop-signal=SIGRTMIN+3",
    "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
    *(f"--tmpfs={path}" for path in ("/run", "/run/lock", "/tmp")),
]


def run(command: list[str], text: str = "") -> str:
    """Run a command of the control node and return what it prints. Raises RuntimeError where it fails."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode != 0:
        raise RuntimeError(
            f"{' '.join(command[:3])} ... ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
    return done.stdout


class Machine:
    """A bare machine, as a cloud gives it: an admin with a key and sudo, and nothing of ours."""

    def __init__(self, name: str, debian: str, key: Path) -> None:
        self.name = name
        run(["docker", "rm", "--force", "--volumes", name])
        run(
            [
                "docker",
                "run",
                "--detach",
                "--name",
                name,
                "--hostname",
                name,
                *OPTIONS,
                f"slipway-debian{debian}",
                "/sbin/init",
            ]
        )
        self.shell(
            "until systemctl is-system-running --wait | grep -qE 'running|degraded'; do sleep 0.2; done;"
            "useradd --create-home --shell /bin/bash admin;"
            "install -d -m 0700 -o admin -g admin /home/admin/.ssh; cat > /home/admin/.ssh/authorized_keys;"
            "chown admin: /home/admin/.ssh/authorized_keys;"
            "echo 'admin ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/admin",
            key.with_suffix(".pub").read_text(),
        )
        self.address = run(["docker", "inspect", "-f", "{{.NetworkSettings.IPAddress}}", name]).strip()

    def shell(self, script: str, text: str = "") -> str:
        """Run a script there as root, and return what it prints."""
        return run(["docker", "exec", "--interactive", self.name, "sh", "-c", script], text)

    def copy(self, source: Path, target: str) -> None:
        """Copy a file or directory there."""
        self.shell(f"mkdir -p {Path(target).parent}")
        run(["docker", "cp", "--quiet", str(source), f"{self.name}:{target}"])

    def remove(self) -> None:
        """Remove it with all that belongs to it."""
        run(["docker", "rm", "--force", "--volumes", self.name])


class Site:
    """An inventory of some machines, kept outside of the project as a user's would be, and the app that it deploys.

    All serve the app; the first one has the database too.
    """

    def __init__(self, directory: Path, machines: list[Machine], key: Path) -> None:
        self.directory, self.machines = directory, machines
        self.source = directory / "app"
        shutil.rmtree(directory, ignore_errors=True)
        (directory / "group_vars").mkdir(parents=True)
        shutil.copytree(ROOT / "sample_app", self.source)
        known = "".join(self.host_key(machine) for machine in machines)
        (directory / "known_hosts").write_text(known)
        hosts = {machine.name: {"ansible_host": machine.address} for machine in machines}
        groups = {"web": {"hosts": hosts}, "db": {"hosts": {machines[0].name: None}}}
        (directory / "bench.yml").write_text(json.dumps(groups))
        self.settings = {
            "ansible_user": "admin",
            "ansible_ssh_private_key_file": str(key),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={directory}/known_hosts",
            "app_name": "guestbook",
            "app_source": str(self.source),
            "app_domains": ["bench.example"],
            "app_health_path": "/readyz",
            "app_watch_seconds": 0,
            "app_environment": {},
            # As cold as the naive script's.
            "app_cache_directory": str(directory / "cache"),
            "app_vault_password_file": str(directory / "vault-password"),
            "app_secrets_file": str(directory / "vault.yml"),
            # A load test is no client of the public.
            "nginx_unlimited_clients": ["127.0.0.1"],
        }
        if len(machines) > 1:
            self.settings |= self.database_for(machines)
        self.write()

    @staticmethod
    def database_for(machines: list[Machine]) -> dict[str, object]:
        """The settings of docs/runbooks/add-a-machine.md, for a database that is asked over the network."""
        addresses, password = [machine.address for machine in machines], "of-a-throw-away-machine"
        return {
            "postgres_clients": addresses,
            "postgres_password": password,
            "base_firewall_allow": [{"port": 5432, "protocol": "tcp", "from": addresses}],
            "app_secrets": {"DATABASE_URL": f"postgresql://guestbook:{password}@{addresses[0]}:5432/guestbook"},
        }

    @staticmethod
    def host_key(machine: Machine) -> str:
        """The line of known_hosts for a machine, as soon as its sshd answers."""
        for _ in range(100):
            found = run(["ssh-keyscan", "-T", "2", "-t", "ed25519", machine.address])
            if found:
                return found
            time.sleep(0.2)
        raise RuntimeError(f"{machine.name} does not answer by ssh")

    def write(self) -> None:
        """Write the settings into the inventory's group_vars."""
        (self.directory / "group_vars/all.yml").write_text(json.dumps(self.settings))

    def change_code(self, word: str) -> None:
        """Change the app's code, not its dependencies."""
        with (self.source / "wsgi.py").open("a") as file:
            file.write(f"# {word}\n")

    def change_setting(self, word: str) -> None:
        """Change one of the app's settings."""
        self.settings["app_environment"] = {"BENCH": word}
        self.write()


def certificate_authorities() -> Path | None:
    """The control node's own bundle of authorities, which a machine behind a company's proxy needs for PyPI."""
    bundle = ssl.get_default_verify_paths().cafile
    return Path(bundle) if bundle else None
