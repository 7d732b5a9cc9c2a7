"""Opens at import what many small apps do: its database, for create_all, and a thread with a queue."""

import os
import queue
import threading
import time

from flask import Flask, jsonify
from sqlalchemy import create_engine, text

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]
engine = create_engine(os.environ["SQLALCHEMY_DATABASE_URI"], pool_size=5)
with engine.begin() as connection:
    connection.execute(text("CREATE TABLE IF NOT EXISTS marks (n int)"))

todo: queue.Queue = queue.Queue()
done: list[int] = []


def work() -> None:
    """Take what is to be done, for ever."""
    while True:
        done.append(todo.get())


threading.Thread(target=work, daemon=True, name="queue").start()


@app.get("/")
def index():
    """Say who answers, and by how many workers of which number."""
    return jsonify(app="atimport", worker=os.getpid())


@app.get("/row/<int:number>")
def row(number: int):
    """Ask the database for a number, and return what it says."""
    with engine.connect() as connection:
        got = connection.execute(text("SELECT CAST(:n AS int) FROM pg_sleep(0.01)"), {"n": number}).scalar_one()
    return jsonify(asked=number, got=got)


@app.get("/job")
def job():
    """Have the thread do something, and say how much it has done."""
    todo.put(1)
    deadline = time.monotonic() + 5
    while not done and time.monotonic() < deadline:
        time.sleep(0.01)
    return jsonify(done=len(done))


@app.get("/slow/<int:seconds>")
def slow(seconds: int):
    """Take some time."""
    time.sleep(seconds)
    return jsonify(slept=seconds)
