"""The deployed page in a real browser, at the address in SLIPWAY_URL."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support import expected_conditions as expected
from selenium.webdriver.support.wait import WebDriverWait

URL = os.environ.get("SLIPWAY_URL", "")
pytestmark = pytest.mark.skipif(
    not URL, reason="SLIPWAY_URL is not set: it names the running site to open in a browser"
)

# A machine that is busy with other tests takes its time to start a browser for the first time.
WAIT_SECONDS = 120
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1280,900",
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    """Debian's Chromium with a profile of its own; a self-signed certificate is accepted."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    options.accept_insecure_certs = True
    profile: Path = tmp_path_factory.mktemp("profile")
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    # Named, so that selenium does not look for a driver to download.
    service = webdriver.ChromeService("/usr/bin/chromedriver")
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_page_load_timeout(WAIT_SECONDS)
    yield driver
    driver.quit()


def send(browser: WebDriver, name: str, message: str) -> None:
    """Fill in the form, send it and wait until the answer has replaced the page."""
    browser.get(URL)
    browser.find_element(By.ID, "name").send_keys(name)
    browser.find_element(By.ID, "message").send_keys(message)
    button = browser.find_element(By.CSS_SELECTOR, "button[type=submit]")
    button.click()
    # To ask for an element just when its page goes ends with one of several errors.
    gone = WebDriverWait(browser, WAIT_SECONDS, ignored_exceptions=[WebDriverException])
    gone.until(expected.staleness_of(button))


def messages(browser: WebDriver) -> list[str]:
    """Return the messages on the page."""
    return [found.text for found in browser.find_elements(By.CSS_SELECTOR, ".entry .message")]


def test_the_page_arrives_styled_and_names_its_release(browser: WebDriver) -> None:
    browser.get(URL)
    assert browser.title == "Guestbook"
    button = browser.find_element(By.CSS_SELECTOR, "button[type=submit]")
    assert button.value_of_css_property("background-color") in {
        "rgba(15, 110, 106, 1)",  # light
        "rgba(92, 197, 184, 1)",  # dark
    }
    assert browser.find_element(By.ID, "release").text.strip()


def test_the_script_counts_characters(browser: WebDriver) -> None:
    browser.get(URL)
    browser.find_element(By.ID, "message").send_keys("hello")
    assert browser.find_element(By.CLASS_NAME, "counter").text == "495 characters left"


def test_nothing_on_the_page_failed_to_load(browser: WebDriver) -> None:
    browser.get(URL)
    loaded = "return performance.getEntriesByType('resource').map(e => [e.name, e.responseStatus])"
    statuses = {re.sub(r".*/", "", name): status for name, status in browser.execute_script(loaded)}
    assert len(statuses) >= 3
    assert set(statuses.values()) == {200}, statuses


def test_an_entry_is_shown_and_still_there_after_a_reload(browser: WebDriver) -> None:
    message = f"<b>Hello</b> from a browser, {uuid.uuid4()}"
    send(browser, "Ada Lovelace", message)
    assert "Thank you!" in browser.find_element(By.CSS_SELECTOR, "[role=status]").text
    assert messages(browser)[0] == message

    browser.refresh()
    assert browser.find_elements(By.CSS_SELECTOR, "[role=status]") == []
    assert message in messages(browser)


def test_an_empty_message_is_refused_with_the_reason(browser: WebDriver) -> None:
    send(browser, "Ada Lovelace", "")
    assert browser.find_element(By.ID, "message-error").text == "Please write a message."
    assert browser.find_element(By.ID, "name").get_attribute("value") == "Ada Lovelace"
