"""What a load balancer or a deployment asks before it sends visitors here."""

from __future__ import annotations

import logging

from flask import Blueprint
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from guestbook.extensions import db

PLAIN = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}

blueprint = Blueprint("health", __name__)
logger = logging.getLogger(__name__)


@blueprint.get("/healthz")
def healthz() -> tuple[str, int, dict[str, str]]:
    """Say that this process answers. Touches nothing else, on purpose."""
    return "ok\n", 200, PLAIN


@blueprint.get("/readyz")
def readyz() -> tuple[str, int, dict[str, str]]:
    """Say whether the page can be served now, that is, whether the database answers."""
    try:
        db.session.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        # The error names host and user: for the log, not for the public.
        logger.warning("not ready: %s", error)
        return "database not reachable\n", 503, PLAIN
    return "ok\n", 200, PLAIN
