"""Load a release's app in its own environment and tell, as JSON, what it really came to. Judges nothing itself.

A copy of this file is in each release and runs with the release's Python, as the app's user. What it prints goes to
a file that only root reads; no secret is in it, only whether it is the expected one.
"""

from __future__ import annotations

import io
import json
import os
import traceback


def load(target: str, loaded: list[str]) -> object:
    """Return the WSGI application; ``loaded`` gets the names of the configuration objects that it reads."""
    try:
        from flask import Config
    except ImportError:
        pass
    else:
        original = Config.from_object

        def from_object(self: object, thing: object) -> None:
            known = thing if isinstance(thing, (str, type)) else type(thing)
            loaded.append(known if isinstance(known, str) else f"{known.__module__}.{known.__qualname__}")
            original(self, thing)

        Config.from_object = from_object
    from gunicorn.util import import_app

    return import_app(target)


def key(app: object) -> dict:
    """Tell of the secret key whether there is one, and whether it is the one of the settings."""
    value = app.secret_key
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
    return {"set": bool(text), "length": len(text), "expected": text == os.environ.get("SECRET_KEY")}


def proxies(app: object) -> dict | None:
    """Tell how many proxies the app believes, or None where it believes none."""
    layer, seen = app.wsgi_app, 0
    while layer is not None and seen < 20:
        if type(layer).__name__ == "ProxyFix":
            return {name: getattr(layer, name, 0) for name in ("x_for", "x_proto", "x_host", "x_port", "x_prefix")}
        layer = getattr(layer, "app", None) or getattr(layer, "wsgi_app", None)
        seen += 1
    return None


def place(url: object) -> dict:
    """Return what of a database's URL says which one it is: never its password."""
    from sqlalchemy.engine import make_url

    parsed = make_url(url)
    hosts = parsed.query.get("host", parsed.host or "")
    local = not hosts or str(hosts).startswith("/")
    return {
        "kind": parsed.get_backend_name(),
        "host": "" if local else str(hosts),
        "port": "" if local else str(parsed.port or ""),
        "name": parsed.database or "",
        "user": parsed.username or "",
    }


def database(app: object) -> dict | None:
    """Tell which database SQLAlchemy uses and which one was configured; None for an app without SQLAlchemy."""
    extension = getattr(app, "extensions", {}).get("sqlalchemy")
    if extension is None:
        return None
    found: dict = {"configured": None, "used": None, "statement_timeout": None, "error": ""}
    try:
        if os.environ.get("DATABASE_URL"):
            found["configured"] = place(os.environ["DATABASE_URL"].replace("postgres://", "postgresql://", 1))
        with app.app_context():
            engine = getattr(extension, "engine", None) or extension.db.engine
            found["used"] = place(engine.url)
            with engine.connect() as connection:
                if found["used"]["kind"] == "postgresql":
                    shown = connection.exec_driver_sql(
                        "SELECT setting::bigint FROM pg_settings WHERE name = 'statement_timeout'"
                    )
                    found["statement_timeout"] = int(shown.scalar()) / 1000
    except Exception as error:
        found["error"] = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    return found


def alembic_config(app: object, output: io.StringIO) -> object | None:
    """Return Alembic's configuration as Flask-Migrate or an alembic.ini gives it, or None."""
    migrate = getattr(app, "extensions", {}).get("migrate")
    if migrate is not None:
        config = migrate.migrate.get_config(migrate.directory)
        config.output_buffer = output
        return config
    if os.path.exists("alembic.ini"):
        from alembic.config import Config

        return Config("alembic.ini", output_buffer=output)
    return None


def migrations(app: object) -> dict | None:
    """Tell where the schema is, where the release wants it, and the SQL between; None for an app without Alembic."""
    output = io.StringIO()
    with app.app_context():
        config = alembic_config(app, output)
        if config is None:
            return None
        from alembic import command
        from alembic.runtime.migration import MigrationContext
        from alembic.script import ScriptDirectory

        scripts = ScriptDirectory.from_config(config)
        found: dict = {"heads": sorted(scripts.get_heads()), "current": [], "pending": [], "sql": "", "error": ""}
        extension = getattr(app, "extensions", {}).get("sqlalchemy")
        engine = getattr(extension, "engine", None) or (extension.db.engine if extension is not None else None)
        if engine is None:
            found["error"] = "the app's database engine is not Flask-SQLAlchemy's"
            return found
        try:
            with engine.connect() as connection:
                found["current"] = sorted(MigrationContext.configure(connection).get_current_heads())
            pending = scripts.iterate_revisions("heads", found["current"] or "base")
            found["pending"] = [step.revision for step in pending if step.revision not in found["current"]][::-1]
            if found["pending"] and found["current"]:
                command.upgrade(config, f"{','.join(found['current'])}:heads", sql=True)
        except (Exception, SystemExit) as error:
            found["error"] = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    found["sql"] = output.getvalue()
    return found


def tell(target: str) -> dict:
    """Return what there is to tell of an app: {"imports": false, "error": ...} where it cannot be loaded."""
    loaded: list[str] = []
    try:
        app = load(target, loaded)
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        return {"imports": False, "error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
    facts: dict = {"imports": True, "flask": False}
    try:
        from flask import Flask
    except ImportError:
        return facts
    while not isinstance(app, Flask) and getattr(app, "app", None) is not None:
        app = app.app
    if not isinstance(app, Flask):
        return facts
    config = app.config
    facts |= {
        "flask": True,
        "debug": bool(app.debug),
        "testing": bool(app.testing),
        "key": key(app),
        "loaded": loaded,
        "proxies": proxies(app),
        "cookies": {name: config.get(f"SESSION_COOKIE_{name.upper()}") for name in ("secure", "httponly", "samesite")},
        "body_limit": config.get("MAX_CONTENT_LENGTH"),
        "database": database(app),
    }
    try:
        facts["migrations"] = migrations(app)
    except (Exception, SystemExit) as error:
        facts["migrations"] = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300], "heads": []}
    return facts


def main() -> None:
    """Print the facts as one line of JSON; whatever the app itself prints goes to the journal."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    facts = tell(os.environ["SLIPWAY_WSGI"])
    answer.write(json.dumps(facts, default=str))
    answer.flush()
    # Threads that the app started do not keep this process.
    os._exit(0)


if __name__ == "__main__":
    main()
