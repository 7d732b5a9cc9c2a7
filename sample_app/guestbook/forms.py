"""The form that visitors fill in."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import StringField, TextAreaField
from wtforms.validators import DataRequired, Length

from guestbook.models import MESSAGE_LENGTH, NAME_LENGTH


def clean(text: str | None) -> str | None:
    """Bring submitted text into the form in which it is counted and stored.

    Browsers send a line's end as two characters but count it as one, and PostgreSQL cannot
    store a NUL at all.
    """
    return text and text.replace("\r\n", "\n").replace("\0", "").strip()


class EntryForm(FlaskForm):
    """A new entry."""

    name = StringField(
        "Your name",
        filters=[clean],
        validators=[
            DataRequired("Please tell us your name."),
            Length(max=NAME_LENGTH, message="A name has at most %(max)d characters."),
        ],
    )
    message = TextAreaField(
        "Your message",
        filters=[clean],
        validators=[
            DataRequired("Please write a message."),
            Length(max=MESSAGE_LENGTH, message="A message has at most %(max)d characters."),
        ],
    )
