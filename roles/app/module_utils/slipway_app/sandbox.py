"""Running what may run an app's own code on the control node: without its secrets, and where it can be in a sandbox.

To install a distribution that comes as source means to run its setup.py or its build backend. That code is to see no
vault variable, no key and no other process of the person who deploys.
"""

from __future__ import annotations

import contextlib
import functools
import netrc
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

# What a build may know: where programs are, how to speak, how to get out, whom to trust, and which index is asked.
_KEPT = re.compile(
    r"PATH|LANG|LANGUAGE|LC_[A-Z]+|TZ|(https?|all|no|ftp)_proxy|(HTTPS?|ALL|NO|FTP)_PROXY"
    r"|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|SOURCE_DATE_EPOCH|CC|CXX|CFLAGS|CXXFLAGS|LDFLAGS"
    r"|MAKEFLAGS|PKG_CONFIG_PATH|UV_(?!PUBLISH_)[A-Z0-9_]+"
)
# What a build needs of the computer, where it is there; of /etc nothing that only some may read.
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store")
_ETC = (
    "alternatives ca-certificates debian_version gai.conf group host.conf hosts ld.so.cache ld.so.conf ld.so.conf.d"
    " localtime mime.types nsswitch.conf os-release passwd pki protocols resolv.conf services ssl timezone uv"
)
_TOOLCHAINS = (".cargo/bin", ".rustup", ".pyenv/versions", ".local/share/uv/python")
_URL = re.compile(r"https?://[^\s\"'<>]+")


def environment(given: Mapping[str, str], cache: Path) -> dict[str, str]:
    """Return the environment of a build: what _KEPT names of the one given, its home, and a cache."""
    kept = {name: value for name, value in given.items() if _KEPT.fullmatch(name)}
    return {"UV_CACHE_DIR": str(cache), **kept, "HOME": given["HOME"], "LC_ALL": "C.UTF-8", "TMPDIR": "/tmp"}


@contextlib.contextmanager
def home(inputs: list[Path], given: Mapping[str, str]) -> Iterator[Path]:
    """Make a home for a build, with uv's own configuration and the passwords for the indexes that are named anywhere.

    ``inputs`` are the files that may name an index; the home is gone afterwards.
    """
    real = Path(given.get("HOME") or Path.home())
    config = Path(given.get("XDG_CONFIG_HOME") or real / ".config") / "uv" / "uv.toml"
    with tempfile.TemporaryDirectory(prefix="slipway-build-") as made:
        directory = Path(made)
        if config.is_file():
            (directory / ".config/uv").mkdir(parents=True)
            shutil.copyfile(config, directory / ".config/uv/uv.toml")
        files = (*inputs, config, Path("/etc/uv/uv.toml"))
        texts = [file.read_text(errors="replace") for file in files if file.is_file()]
        texts += [value for name, value in given.items() if name.startswith("UV_")]
        hosts = {urlsplit(url).hostname for text in texts for url in _URL.findall(text)}
        lines = passwords(Path(given.get("NETRC") or real / ".netrc"), hosts)
        (directory / ".netrc").touch(mode=0o600)
        (directory / ".netrc").write_text(lines)
        yield directory


def passwords(file: Path, hosts: set[str | None]) -> str:
    """Return the lines of a .netrc that are for some hosts."""
    try:
        known = netrc.netrc(str(file)).hosts
    except (OSError, netrc.NetrcParseError):
        return ""
    return "".join(
        f"machine {host} login {login} password {password}\n"
        for host, (login, _account, password) in known.items()
        if host in hosts
    )


def run(
    command: list[str], cwd: Path, reads: list[Path], writes: list[Path], given: Mapping[str, str], cache: Path
) -> subprocess.CompletedProcess:
    """Run a command that may run somebody's code, at most half an hour.

    It reads ``reads`` and writes ``writes`` (absolute paths, its home among them) and the cache. Raises
    FileNotFoundError where the program is not there, and subprocess.TimeoutExpired.
    """
    kept = environment(given, cache)
    cache = Path(kept["UV_CACHE_DIR"])
    cache.mkdir(parents=True, exist_ok=True)
    if not shutil.which(command[0]):
        raise FileNotFoundError(command[0])
    parts = [part for name, value in kept.items() if name != "PATH" for part in value.split(":")]
    named = [Path(part) for part in parts if part.startswith("/")]
    wrapped = confined(command, cwd, [*reads, *filter(Path.exists, named)], [*writes, cache], kept)
    if not wrapped:
        kept["TMPDIR"] = kept["HOME"]
    pipes = {"capture_output": True, "stdin": subprocess.DEVNULL, "text": True}
    return subprocess.run(wrapped or command, cwd=cwd, env=kept, timeout=1800, **pipes)


def confined(
    command: list[str], cwd: Path, reads: list[Path], writes: list[Path], kept: Mapping[str, str]
) -> list[str]:
    """Return the command as bubblewrap runs it, which sees nothing but what is named; empty where that cannot be."""
    program = usable()
    if not program:
        return []
    words = base(program)
    toolchains = [Path.home() / each for each in _TOOLCHAINS]
    own = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parents[1]]
    own += [Path(shutil.which(command[0]) or command[0]).resolve().parent, *map(Path, kept.get("PATH", "").split(":"))]
    for path in [*own, *toolchains, *reads]:
        if path.is_absolute() and path.exists() and not _covered(path):
            words += ["--ro-bind", str(path), str(path)]
    for path in writes:
        words += ["--bind", str(path), str(path)]
    return [*words, "--chdir", str(cwd), "--", *command]


def _covered(path: Path) -> bool:
    """Say whether a path is in what a build sees anyway, or would show too much: all, or somebody's home."""
    too_much = {Path.home(), *map(Path, ("/", "/etc", "/root", "/home", "/tmp", "/var", "/proc", "/run", "/srv"))}
    return path in too_much or any(path.is_relative_to(each) for each in ("/usr", "/bin", "/sbin", "/lib", "/dev"))


def base(program: str) -> list[str]:
    """Return how bubblewrap is called: an empty root with the system's programs, and processes of its own."""
    words = [program, "--unshare-user-try", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent"]
    words += ["--new-session", "--cap-drop", "ALL", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]
    for path in [*_SYSTEM, *(f"/etc/{name}" for name in _ETC.split())]:
        words += ["--ro-bind-try", path, path]
    # What /etc/resolv.conf may be a link to.
    return [*words, "--ro-bind-try", "/run/systemd/resolve", "/run/systemd/resolve"]


@functools.cache
def usable() -> str:
    """Return the path of bubblewrap where it is there and may do its work (a container may forbid it), else ""."""
    program = shutil.which("bwrap")
    if not program:
        return ""
    try:
        tried = subprocess.run([*base(program), "--", "/usr/bin/env", "true"], capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return program if tried.returncode == 0 else ""
