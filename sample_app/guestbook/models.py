"""The one table of the guestbook."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import DateTime, Select, String, select
from sqlalchemy.orm import Mapped, mapped_column

from guestbook.extensions import db

NAME_LENGTH = 60
MESSAGE_LENGTH = 500


def _now() -> datetime:
    return datetime.now(UTC)


class Entry(db.Model):  # type: ignore[name-defined]
    """What one visitor wrote."""

    __tablename__ = "entries"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    message: Mapped[str] = mapped_column(String(MESSAGE_LENGTH))
    created: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True, default=_now)

    @property
    def created_utc(self) -> datetime:
        """When it was written, in UTC.

        PostgreSQL answers in the time zone of its session; SQLite, in the tests, with none.
        """
        if self.created.tzinfo is None:
            return self.created.replace(tzinfo=UTC)
        return self.created.astimezone(UTC)

    @classmethod
    def newest_first(cls) -> Select[tuple[Entry]]:
        """Return the query for all entries, in the order of the page."""
        return select(cls).order_by(cls.created.desc(), cls.id.desc())
