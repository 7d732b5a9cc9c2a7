"""Judging what a release's app really came to, before it gets traffic: unsafe stops the deploy, unwise is a warning."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

_DEVELOPMENT = re.compile(
    r"(Dev|Development|Develop|Test|Testing|Debug|Local)(Config|Configuration|Settings)?$"
    r"|(^|[._])(dev|development|test|testing|debug|local)$"
)


@dataclass
class Finding:
    """What a check has to say: its name, to waive it by; whether it stops the deploy; what is wrong; what to change."""

    check: str
    unsafe: bool
    what: str
    change: str

    def __str__(self) -> str:
        return f"{self.check}: {self.what}. {self.change}"


def judge(facts: dict, limits: dict, web: str, arguments: str) -> list[Finding]:
    """Return what is unsafe or unwise.

    ``facts`` is what check_app told; ``limits`` what is in front of the app: proxy_hops, proxy_timeout (seconds) and
    body_megabytes, None where nobody said; ``web`` the release's command, ``arguments`` the unit's GUNICORN_CMD_ARGS.
    """
    if not facts.get("imports"):
        return [Finding("imports", True, f"the app cannot be loaded: {facts.get('error')}", "The log lines say where.")]
    if not facts.get("flask"):
        return [*_shared_by_workers(facts, web), *_gunicorn(facts, limits)]
    return [
        *_shared_by_workers(facts, web),
        *_gunicorn(facts, limits),
        *_modes(facts),
        *_secret_key(facts["key"]),
        *_database(facts.get("database")),
        *_proxies(facts.get("proxies"), limits),
        *_cookies(facts.get("cookies", {})),
        *_limits(facts, limits, web, arguments),
    ]


def _shared_by_workers(facts: dict, web: str) -> list[Finding]:
    """Refuse what workers would share: opened while the app is loaded, where it is loaded before they are forked."""
    gunicorn, opened = facts.get("gunicorn") or {"preload_app": "--preload" in web}, facts.get("at_fork") or {}
    if not gunicorn["preload_app"]:
        return []
    change = "Take --preload (preload_app) out, or open it in each worker (post_fork in gunicorn.conf.py)."
    what = [f"a connection to {where}" for where in opened.get("connections", [])]
    what += [f"the thread {name}, which runs in none of them" for name in opened.get("threads", [])]
    found = []
    if what:
        text = (
            f"gunicorn loads the app before it forks its workers (preload_app), and they would share {'; '.join(what)}"
        )
        found.append(Finding("preload", True, text, change))
    if re.search("gevent|eventlet", str(gunicorn.get("worker_class_str"))) and not opened.get("patched"):
        text = "gunicorn loads the app before its workers patch what it has imported (preload_app with gevent)"
        found.append(Finding("preload", True, text, change))
    return found


def _gunicorn(facts: dict, limits: dict) -> list[Finding]:
    """Say which of the app's settings for gunicorn are not obeyed, or will not be kept."""
    if "gunicorn" not in facts:
        return []
    gunicorn = facts["gunicorn"]
    if gunicorn is None:
        what = "the web line did not come to gunicorn within 20 s, so that its settings are not known"
        return [
            Finding("gunicorn", False, what, "See the log; a line that waits for something is started like this too.")
        ]
    found = [Finding("gunicorn", False, text, "Take it out.") for text in gunicorn.get("warnings", [])]
    graceful, stop = gunicorn.get("graceful_timeout"), limits.get("stop_seconds")
    if graceful is not None and stop is not None and graceful > stop - 10:
        what = f"gunicorn lets requests finish for {graceful} s, and systemd ends it after {stop:g} s"
        change = f"gunicorn_graceful_timeout_seconds: {graceful}"
        found.append(Finding("timeouts", False, what, change))
    return found


def _modes(facts: dict) -> list[Finding]:
    found = []
    if facts["debug"]:
        change = "Take DEBUG = True, or debug=True, out of what the app loads in production."
        found.append(Finding("debug", True, "the app is in debug mode, although FLASK_DEBUG is 0", change))
    if facts["testing"]:
        change = "Take TESTING = True out of what the app loads in production."
        found.append(
            Finding("testing", True, "the app is in testing mode, which lets errors through to visitors", change)
        )
    wrong = [name for name in facts["loaded"] if _DEVELOPMENT.search(name)]
    if wrong:
        change = "Choose the class by FLASK_CONFIG, which is set to production here."
        found.append(Finding("config_class", True, f"the app loaded the configuration {', '.join(wrong)}", change))
    return found


def _secret_key(key: dict) -> list[Finding]:
    if not key["set"]:
        change = 'app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]'
        return [
            Finding("secret_key", False, "the app has no secret key, so that sessions and forms cannot work", change)
        ]
    if not key["expected"]:
        change = 'Read it from the environment: app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]'
        return [Finding("secret_key", True, "the app's secret key is not the one of the inventory", change)]
    return []


def _database(database: dict | None) -> list[Finding]:
    if not database or not database["used"]:
        return []
    used, configured = database["used"], database["configured"]
    found = []
    if database["error"]:
        what = f"the app cannot use {_place(used)}: {database['error']}"
        return [Finding("database", configured is not None, what, "See DATABASE_URL in the inventory.")]
    if configured and any(used[part] != configured[part] for part in ("kind", "host", "name")):
        what = f"the app uses {_place(used)}, and DATABASE_URL says {_place(configured)}"
        change = 'app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["SQLALCHEMY_DATABASE_URI"]'
        found.append(Finding("database", True, what, change))
    elif used["kind"] == "sqlite" and used["name"] in ("", ":memory:"):
        what = "the app keeps its data in memory: every worker has its own, and none outlives a restart"
        found.append(Finding("database", True, what, "Give it a database: the group db, or DATABASE_URL."))
    return found


def _place(place: dict) -> str:
    where = f" on {place['host']}" if place["host"] else ""
    return f"the {place['kind']} database {place['name'] or '(in memory)'}{where}"


def _proxies(believed: dict | None, limits: dict) -> list[Finding]:
    hops = limits.get("proxy_hops")
    if hops is None:
        return []
    if believed is None:
        what = "the app does not use ProxyFix: it takes the web server for the client, and https for http"
        change = f"app.wsgi_app = ProxyFix(app.wsgi_app, x_for={hops}, x_proto={hops}, x_host={hops})"
        return [Finding("proxy_fix", False, what, change)]
    more = [f"{name}={count}" for name, count in believed.items() if count and int(count) > hops]
    if more:
        what = f"ProxyFix believes {', '.join(more)}, and there is {hops} proxy: clients could claim any address"
        return [
            Finding("proxy_fix", True, what, f"ProxyFix(app.wsgi_app, x_for={hops}, x_proto={hops}, x_host={hops})")
        ]
    less = [name for name in ("x_for", "x_proto") if int(believed.get(name) or 0) < hops]
    if less:
        what = f"ProxyFix takes no {' and no '.join(less)} from the web server"
        change = f"ProxyFix(app.wsgi_app, x_for={hops}, x_proto={hops}, x_host={hops})"
        return [Finding("proxy_fix", False, what, change)]
    return []


def _cookies(cookies: dict) -> list[Finding]:
    found = []
    if not cookies.get("secure"):
        what = "the session's cookie is sent over plain http too"
        found.append(Finding("cookie_secure", False, what, "SESSION_COOKIE_SECURE = True"))
    if not cookies.get("httponly"):
        what = "scripts in the page can read the session's cookie"
        found.append(Finding("cookie_httponly", False, what, "SESSION_COOKIE_HTTPONLY = True"))
    if cookies.get("samesite") not in ("Lax", "Strict"):
        what = "other sites' forms send the session's cookie"
        found.append(Finding("cookie_samesite", False, what, 'SESSION_COOKIE_SAMESITE = "Lax"'))
    return found


def _limits(facts: dict, limits: dict, web: str, arguments: str) -> list[Finding]:
    found = []
    body, allowed = facts.get("body_limit"), limits.get("body_megabytes")
    if allowed is not None:
        if body is None:
            what = f"the app reads bodies of any size, as far as the web server lets them through ({allowed} MB)"
            found.append(Finding("body_limit", False, what, f"MAX_CONTENT_LENGTH = {allowed} * 1024 * 1024"))
        elif int(body) > allowed * 1024 * 1024:
            what = f"the app takes bodies of {int(body) / 1048576:.0f} MB, the web server none over {allowed} MB"
            change = f"nginx_client_max_body_megabytes: {-(-int(body) // 1048576)}"
            found.append(Finding("body_limit", False, what, change))
    timeout = (facts.get("gunicorn") or {}).get("timeout") or gunicorn_timeout(web, arguments)
    proxy = limits.get("proxy_timeout")
    if proxy is not None and timeout >= proxy:
        what = f"gunicorn gives a request {timeout} s, and the web server gives up after {proxy} s"
        change = "Lower gunicorn's timeout (web line, gunicorn.conf.py), or raise nginx_upstream_timeout_seconds."
        found.append(Finding("timeouts", False, what, change))
    statement = (facts.get("database") or {}).get("statement_timeout")
    if statement is not None and (statement == 0 or statement >= timeout):
        said = "for ever" if statement == 0 else f"for {statement:g} s"
        what = f"a statement may run {said} in the database, and gunicorn gives up on its worker after {timeout} s"
        options = f'"options": "-c statement_timeout={max(1, timeout - 5)}s"'
        change = f'SQLALCHEMY_ENGINE_OPTIONS = {{"connect_args": {{{options}}}}}'
        found.append(Finding("timeouts", False, what, change))
    return found


def gunicorn_timeout(web: str, arguments: str) -> int:
    """Return the seconds that gunicorn gives a worker: the web line's, else the unit's, else gunicorn's own 30."""
    for line in (web, arguments):
        try:
            words = shlex.split(line)
        except ValueError:
            continue
        for index, word in enumerate(words):
            option, _equals, value = word.partition("=")
            if option in ("--timeout", "-t"):
                value = value or (words[index + 1] if index + 1 < len(words) else "")
                if value.isdigit():
                    return int(value)
    return 30
