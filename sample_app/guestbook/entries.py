"""The page: the entries, newest first, and the form for a new one."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from werkzeug.wrappers import Response

from guestbook.extensions import db
from guestbook.forms import EntryForm
from guestbook.models import Entry

PER_PAGE = 20

blueprint = Blueprint("entries", __name__)


def _render(form: EntryForm, number: int = 1) -> str:
    page = db.paginate(Entry.newest_first(), page=number, per_page=PER_PAGE)
    return render_template("index.html", form=form, page=page)


# The limit keeps a made-up number from becoming an offset that the database cannot count to.
@blueprint.get("/page/<int(min=2, max=99999):number>")
@blueprint.get("/")
def index(number: int = 1) -> str:
    """Show one page of entries; a page that does not exist is a 404."""
    return _render(EntryForm(), number)


@blueprint.post("/")
def sign() -> Response | tuple[str, int]:
    """Store a new entry, or show again what was sent with what is wrong about it."""
    form = EntryForm()
    if not form.validate():
        return _render(form), 422
    db.session.add(Entry(name=form.name.data, message=form.message.data))
    db.session.commit()
    flash("Thank you! Your entry is in the book.")
    # 303, so that a reload of the answer does not send the entry a second time.
    return redirect(url_for("entries.index"), code=303)
