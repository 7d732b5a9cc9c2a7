"""Whose the configuration of nginx is, and what others serve by it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible.module_utils.slipway_inspect import nginx
from ansible.module_utils.slipway_light import dpkg

MAIN = "user www-data;\nhttp {\n    include /etc/nginx/conf.d/*.conf;\n    include /etc/nginx/sites-enabled/*;\n}\n"
PLACEHOLDER = "server { listen 80 default_server; listen [::]:80 default_server; server_name _; }\n"
OURS = "server { listen 80; listen 443 ssl; server_name app.test; proxy_set_header Host $host$slipway_asked_port; }\n"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict]:
    """Lays out an /etc/nginx, and says what is found there beside the site "app"."""
    etc = tmp_path / "nginx"
    monkeypatch.setattr(nginx, "ETC", etc)
    monkeypatch.setattr(nginx, "PAGES", tmp_path / "html")
    monkeypatch.setattr(dpkg, "STATUS", tmp_path / "status")

    def lay_out(files: dict[str, str], pristine: dict[str, str] | None = None, pages: tuple[str, ...] = ()) -> dict:
        for name, text in files.items():
            path = etc / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("/etc/nginx/", f"{etc}/"))
        lines = [
            f" {etc / name} {hashlib.md5(text.replace('/etc/nginx/', f'{etc}/').encode()).hexdigest()}\n"
            for name, text in (pristine or {}).items()
        ]
        (tmp_path / "status").write_text("Package: nginx-common\nConffiles:\n" + "".join(lines))
        (tmp_path / "html").mkdir(exist_ok=True)
        for page in pages:
            (tmp_path / "html" / page).write_text("")
        return nginx.facts("app")

    return lay_out


def test_a_machine_without_nginx_has_nothing(machine: Callable) -> None:
    found = machine({})
    assert (found["main"], found["others"], found["other_ports"], found["lacking"]) == ("absent", [], [], [])


def test_the_packages_welcome_page_is_nobodys(machine: Callable) -> None:
    files = {"nginx.conf": MAIN, "sites-enabled/default": PLACEHOLDER}
    found = machine(files, pristine=files)
    assert (found["main"], found["placeholder"], found["others"], found["defaults"]) == ("pristine", True, [], [])


def test_the_packages_site_with_somebodys_pages_is_somebodys(machine: Callable) -> None:
    files = {"nginx.conf": MAIN, "sites-enabled/default": PLACEHOLDER}
    found = machine(files, pristine=files, pages=("index.nginx-debian.html", "index.html"))
    assert (found["placeholder"], found["other_ports"]) == (False, [80])


def test_a_changed_default_is_somebodys_site(machine: Callable) -> None:
    text = "server { server_name Shop.test; }"
    found = machine(
        {"nginx.conf": MAIN, "sites-enabled/default": text}, pristine={"sites-enabled/default": PLACEHOLDER}
    )
    assert (found["placeholder"], found["other_ports"], list(found["other_names"])) == (False, [80], ["shop.test"])


def test_what_this_toolkit_was_first_at_stays_its_own(machine: Callable) -> None:
    first = OURS.replace("listen 80", "listen 80 default_server").replace("443 ssl", "443 ssl default_server")
    files = {"nginx.conf": MAIN, "sites-enabled/app.conf": first, "sites-enabled/blog": "server { listen 80; }"}
    found = machine(files)
    assert (found["other_ports"], [Path(file).name for file in found["others"]], found["defaults"]) == (
        [],
        ["blog"],
        [],
    )


def test_a_site_that_comes_second_leaves_the_port_to_the_first(machine: Callable) -> None:
    files = {
        "nginx.conf": MAIN,
        "sites-enabled/zz-app.conf": OURS,
        "conf.d/a.conf": "server { listen 8080; listen 80; }",
    }
    found = machine(files)
    assert found["other_ports"] == [80, 8080]


def test_a_default_of_somebody_else_is_named(machine: Callable) -> None:
    found = machine({"nginx.conf": MAIN, "sites-enabled/blog": "server { listen 443 ssl default_server; }"})
    assert [Path(file).name for file in found["defaults"]] == ["blog"]


@pytest.mark.parametrize(
    ("main", "lacking"),
    [
        ("user www-data; http { log_format x ''; include conf.d/*.conf; include sites-enabled/*; }", []),
        ("user www-data; http { include /etc/nginx/conf.d/*.conf; }", ["include /etc/nginx/sites-enabled/*;"]),
        ("user nginx; http { include conf.d/*.conf; include sites-enabled/*.conf; }", ["user www-data;"]),
    ],
)
def test_what_somebodys_nginx_conf_lacks_is_said(machine: Callable, main: str, lacking: list[str]) -> None:
    found = machine({"nginx.conf": main})
    assert (found["main"], found["lacking"]) == ("other", lacking)


@pytest.mark.parametrize(
    ("listen", "port"),
    [
        ("80", 80),
        ("127.0.0.1:8080", 8080),
        ("[::]:443", 443),
        ("[::1]", 80),
        ("example.test", 80),
        ("*:81", 81),
        ("unix:/run/x:1", 0),
    ],
)
def test_the_port_of_a_listen(listen: str, port: int) -> None:
    assert nginx.port_of(listen) == port


def test_words_are_read_as_nginx_reads_them(tmp_path: Path) -> None:
    text = '# server {\nmap $a "x;{y" { \'}\' 1; }\nserver{listen 81;server_name ~^a{2}b\\;c$ b;}\nbroken "without end'
    read = nginx.parse(text, tmp_path)
    assert [directive.name for directive in read] == ["map", "server"]
