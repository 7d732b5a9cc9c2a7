"""What gunicorn and the flask command import."""

from guestbook import create_app

app = create_app()
