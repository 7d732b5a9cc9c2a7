"""What Mozilla's HTTP Observatory looks for: redirections, headers, cookies and what the pages load.

Source: the list of tests and scores of MDN's HTTP Observatory.
"""

from __future__ import annotations

import http.client
import re

import pytest


@pytest.fixture(scope="module")
def page(machine):
    """The front page."""
    answer = machine.get("/")
    assert answer.status == 200
    return answer


def test_http_leads_to_https_of_the_same_name_first(machine):
    connection = http.client.HTTPConnection(machine.address, timeout=10)
    connection.request("GET", "/a?b=c", headers={"Host": "guestbook.example"})
    answer = connection.getresponse()
    connection.close()
    assert (answer.status, answer.headers["Location"]) == (301, "https://guestbook.example/a?b=c")


def test_browsers_insist_on_https_for_half_a_year_at_least(page):
    (value,) = page.headers.get_all("Strict-Transport-Security")
    assert int(re.fullmatch(r"max-age=(\d+).*", value)[1]) >= 15768000


def test_the_policy_lets_nothing_in_by_default_and_nothing_inline(page):
    (policy,) = page.headers.get_all("Content-Security-Policy")
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["frame-ancestors"] == "'none'" and rules["base-uri"] == "'none'" and rules["form-action"] == "'self'"
    assert not re.search(r"unsafe|https?:|data:|\*", policy)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("X-Content-Type-Options", ["nosniff"]),
        ("X-Frame-Options", ["DENY", "SAMEORIGIN"]),
        ("Referrer-Policy", ["no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin"]),
    ],
)
def test_a_header_is_there_once(page, name, values):
    (value,) = page.headers.get_all(name)
    assert value in values


def test_files_and_errors_have_the_headers_too(machine, page):
    style = re.search(r'href="(/static/style\.[^"]+)"', page.text)[1]
    for path in (style, "/nowhere", "/static/nowhere.css"):
        headers = machine.get(path).headers
        for name in ("Strict-Transport-Security", "X-Content-Type-Options", "Content-Security-Policy"):
            assert len(headers.get_all(name) or []) == 1, (path, name)


def test_cookies_go_over_https_alone_and_to_no_script(page):
    cookies = page.headers.get_all("Set-Cookie")
    assert cookies
    for cookie in cookies:
        assert {"secure", "httponly"} <= {part.strip().lower() for part in cookie.split(";")}
        assert re.search("samesite=(lax|strict)", cookie, re.I)


def test_no_other_origin_may_read_the_pages(machine):
    answer = machine.get("/", Origin="https://evil.example")
    assert answer.headers["Access-Control-Allow-Origin"] is None


def test_nothing_is_loaded_from_elsewhere(page):
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=\"(https?:)?//", page.text)


def test_no_version_is_told(machine, page):
    assert page.headers["Server"] == "nginx"
    assert page.headers["X-Powered-By"] is None
    assert not re.search(r"nginx/\d|gunicorn|werkzeug", machine.get("/nowhere").text, re.I)


@pytest.mark.parametrize(
    "path", ["/.env", "/.git/config", "/wsgi.py", "/static/.env", "/static/../wsgi.py", "/Procfile"]
)
def test_dot_files_and_source_are_not_served(machine, path):
    assert machine.get(path).status == 404
