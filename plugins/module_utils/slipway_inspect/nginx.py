"""What nginx serves on the machine: its configuration as nginx reads it, by whose file it is."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ansible.module_utils.slipway_light import dpkg

ETC = Path("/etc/nginx")
PAGES = Path("/var/www/html")
PLACEHOLDER_PAGES = {"index.nginx-debian.html"}
# What is in every site and main file that this toolkit writes, and in nobody else's.
OURS = re.compile(r"\$slipway_|log_format slipway ")
_TOKEN = re.compile(
    r"""\s+|\#[^\n]*|([{};])|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?:\$\{[^}]*\}|[^\s{};"'\\]|\\.)+)""", re.DOTALL
)


class Directive(NamedTuple):
    """A directive with the file that it is in, and those of its block."""

    name: str
    words: list[str]
    block: list[Directive]
    file: Path


def tokens(text: str) -> Iterator[str]:
    """The words and the punctuation of a configuration file; a quoted word without its quotes."""
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if not found:  # an unfinished quote: nginx will say so
            return
        position = found.end()
        if found[1]:
            yield found[1]
        elif found[2]:
            word = found[2]
            yield word[1:-1] + "\0" if word[0] in "\"'" else word  # a quoted ; is no punctuation


def parse(text: str, file: Path, seen: frozenset[Path] = frozenset()) -> list[Directive]:
    """The directives of a text, those of included files in their place."""
    stack: list[list[Directive]] = [[]]
    words: list[str] = []
    for token in tokens(text):
        if token == ";" and words:
            stack[-1] += _completed(words, file, seen)
            words = []
        elif token == "{" and words:
            directive = Directive(words[0], words[1:], [], file)
            stack[-1].append(directive)
            stack.append(directive.block)
            words = []
        elif token == "}" and len(stack) > 1:
            stack.pop()
        else:
            words.append(token.rstrip("\0"))
    return stack[0]


def _completed(words: list[str], file: Path, seen: frozenset[Path]) -> list[Directive]:
    """A simple directive, or what the files say that it includes."""
    directive = Directive(words[0], words[1:], [], file)
    if words[0] != "include" or len(words) < 2:
        return [directive]
    return [directive] + [
        found for path in sorted(glob.glob(str(ETC / words[1]))) for found in read(Path(path), seen | {file})
    ]


def read(file: Path, seen: frozenset[Path] = frozenset()) -> list[Directive]:
    """The directives of a file with all that it includes; none where it cannot be read."""
    if file in seen:
        return []
    try:
        return parse(file.read_text(errors="replace"), file, seen)
    except OSError:
        return []


def servers(directives: list[Directive]) -> list[Directive]:
    """The server blocks of http."""
    blocks = [inner for directive in directives if directive.name == "http" for inner in directive.block]
    return [directive for directive in blocks if directive.name == "server"]


def port_of(listen: str) -> int:
    """The port of the first word of a listen directive; 0 for a unix socket."""
    if listen.startswith("unix:"):
        return 0
    found = re.search(r"(?:^|:)([0-9]+)$", listen)
    return int(found[1]) if found and not listen.endswith("]") else 80


def listens(server: Directive) -> dict[int, bool]:
    """The ports that a server listens on, each with whether it says to be the default there."""
    said = [directive.words for directive in server.block if directive.name == "listen" and directive.words]
    found: dict[int, bool] = {}
    for words in said or [["80"]]:
        port = port_of(words[0])
        found[port] = found.get(port, False) or bool({"default_server", "default"} & set(words[1:]))
    return found


def names(server: Directive) -> list[str]:
    """The names that a server answers to, in lower case."""
    return [word.lower() for directive in server.block if directive.name == "server_name" for word in directive.words]


def is_ours(file: Path) -> bool:
    """Whether this toolkit wrote the file."""
    try:
        return bool(OURS.search(file.read_text(errors="replace")))
    except OSError:
        return False


def kind_of_main() -> str:
    """Whose nginx.conf is: absent, pristine (the package's), ours or other."""
    main = ETC / "nginx.conf"
    if not main.exists():
        return "absent"
    if is_ours(main):
        return "ours"
    return "pristine" if dpkg.is_pristine(str(main)) else "other"


def is_placeholder(file: Path) -> bool:
    """Whether a site is Debian's welcome page and no more: the package's own file, with nobody's pages to show."""
    if file.name != "default" or not dpkg.is_pristine(str(file)):
        return False
    return not PAGES.is_dir() or {page.name for page in PAGES.iterdir()} <= PLACEHOLDER_PAGES


def lacking(directives: list[Directive]) -> list[str]:
    """What somebody's nginx.conf lacks for a site of ours, in the words of the file itself."""
    main = ETC / "nginx.conf"
    included = [
        str(ETC / directive.words[0])
        for http in directives
        if http.name == "http"
        for directive in http.block
        if directive.name == "include" and directive.words and directive.file == main
    ]
    wanted = {"conf.d/slipway.conf": "conf.d/*.conf", "sites-enabled/zz-app.conf": "sites-enabled/*"}
    missing = [
        f"include /etc/nginx/{pattern};"
        for example, pattern in wanted.items()
        if not any((ETC / example).match(pattern) for pattern in included)
    ]
    users = [directive.words[0] for directive in directives if directive.name == "user" and directive.words]
    return missing + ([] if users[-1:] == ["www-data"] else ["user www-data;"])


def own_things(wanted: dict) -> dict:
    """What is there of the site itself: former certificates, maintenance, and whether nginx was confined before."""
    certificates, drop_in = Path(wanted["certificates"]), Path(wanted["drop_in"])
    found = [*certificates.glob("provided.*"), *certificates.glob("provided-*")] if certificates.is_dir() else []
    return {
        "provided": sorted(map(str, found)),
        "maintenance": Path(wanted["maintenance_flag"]).exists(),
        "confined": drop_in.exists() and "PrivateTmp=" in drop_in.read_text(),
    }


def facts(site: str) -> dict:
    """What is there beside the site: see the module's RETURN."""
    main = kind_of_main()
    directives = read(ETC / "nginx.conf") if main != "absent" else []
    files = sorted((ETC / "sites-enabled").glob("*")) if (ETC / "sites-enabled").is_dir() else []
    placeholders = {file for file in files if is_placeholder(file)}
    all_servers = servers(directives)
    own_files = {server.file for server in all_servers if is_ours(server.file)}
    others = [server for server in all_servers if server.file not in own_files | placeholders]
    own = [server for server in all_servers if server.file in own_files]
    claimed = {port for server in own for port, default in listens(server).items() if default}
    return {
        "main": main,
        "lacking": lacking(directives) if main == "other" else [],
        "placeholder": any(file.name == "default" for file in placeholders),
        "others": sorted({str(server.file) for server in others}),
        # Where they were the first to be asked, and none of ours has taken that over yet.
        "other_ports": sorted({port for server in others for port in listens(server) if port} - claimed),
        "other_names": {name: str(server.file) for server in reversed(others) for name in names(server)},
        "defaults": sorted(
            {
                str(server.file)
                for server in [*others, *own]
                if any(listens(server).values()) and server.file.stem.removeprefix("zz-") != site
            }
        ),
    }
