"""The pages tell browsers what they may load."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient


@pytest.mark.parametrize("path", ["/", "/nowhere", "/healthz"])
def test_every_answer_says_what_a_browser_may_load(client: FlaskClient, path: str) -> None:
    policy = client.get(path).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_page_needs_nothing_that_the_policy_forbids(client: FlaskClient) -> None:
    page = client.get("/").text
    assert not re.search(r"<script(?![^>]* src=)|<style|\s(style|on[a-z]+)=", page)
    assert not re.search(r"(src|href)=\"(https?:)?//", page)
