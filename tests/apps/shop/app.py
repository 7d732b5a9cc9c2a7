"""An app that takes orders, and that fails on demand: the setting BROKEN says where."""

import os
import subprocess
import sys
import time

from flask import Flask, Response, request
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from werkzeug.middleware.proxy_fix import ProxyFix

BROKEN = os.environ.get("BROKEN", "")
if BROKEN == "stubborn" and os.environ.get("NOTIFY_SOCKET"):
    subprocess.Popen([sys.executable, os.path.join(os.path.dirname(__file__), "stubborn.py")])
if BROKEN == "import":
    raise RuntimeError("the shop is closed")

app = Flask(__name__)
app.config.update(
    SECRET_KEY=os.environ["SECRET_KEY"],
    SQLALCHEMY_DATABASE_URI=os.environ["SQLALCHEMY_DATABASE_URI"],
    SQLALCHEMY_ENGINE_OPTIONS={"pool_pre_ping": True, "connect_args": {"options": "-c statement_timeout=20s"}},
    SESSION_COOKIE_SECURE=True,
    SESSION_COOKIE_SAMESITE="Lax",
    MAX_CONTENT_LENGTH=65536,
    DEBUG=BROKEN == "debug",
)
if BROKEN == "sqlite":
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:////tmp/shop.db"
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {}
if BROKEN == "key":
    app.config["SECRET_KEY"] = "dev"
app.wsgi_app = ProxyFix(app.wsgi_app, x_for=2 if BROKEN == "proxies" else 1, x_proto=1, x_host=1)
db = SQLAlchemy(app)
migrate = Migrate(app, db)


class Order(db.Model):
    """What somebody ordered, under an id that the client chose."""

    __tablename__ = "orders"
    id = db.Column(db.String(36), primary_key=True)


@app.get("/")
def index():
    """Tell which release answers."""
    if BROKEN == "traffic":
        return Response("out of order", 500)
    return {"release": os.environ["SLIPWAY_RELEASE"], "mark": os.environ.get("MARK", ""), "pid": os.getppid()}


@app.get("/slow")
def slow():
    """Take as many seconds as asked for."""
    time.sleep(float(request.args["seconds"]))
    return {"release": os.environ["SLIPWAY_RELEASE"]}


@app.post("/orders/<order>")
def take(order: str):
    """Take an order; it is stored when this answers."""
    db.session.add(Order(id=order))
    db.session.commit()
    return {"order": order}, 201


@app.get("/orders")
def orders():
    """List the orders."""
    return {"orders": [order.id for order in db.session.query(Order)]}


@app.get("/healthz")
def health():
    """Say whether this process may get traffic."""
    return Response("ill", 503) if BROKEN == "health" else {"ok": True}
