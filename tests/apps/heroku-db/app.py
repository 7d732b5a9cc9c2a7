"""As Heroku's guides have it: DATABASE_URL, Flask-SQLAlchemy, and migrations in the release phase."""

import os

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
# Heroku's own scheme; the driver is the one in requirements.txt.
app.config["SQLALCHEMY_DATABASE_URI"] = (
    os.environ["DATABASE_URL"].replace("postgres://", "postgresql://").replace("postgresql://", "postgresql+psycopg://")
)
db = SQLAlchemy(app)
migrate = Migrate(app, db)


class Visit(db.Model):
    """One call of the page."""

    id = db.Column(db.Integer, primary_key=True)


@app.get("/")
def index():
    """Count the calls."""
    db.session.add(Visit())
    db.session.commit()
    return {"app": "heroku-db", "visits": db.session.query(Visit).count()}
