"""Tests of the site, as a visitor sees it through the domain."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from stations import Artifact, Notification, Site
from world import request


@pytest.fixture
def guest(create_db: Path) -> Iterator[str]:
    """A unique name, removed from the book afterwards."""
    name = f"guest {uuid4()}"
    yield name
    with closing(sqlite3.connect(create_db)) as connection, connection:
        connection.execute("DELETE FROM entries WHERE name = ?", [name])


def sign(site: Site, name: str, message: str) -> str:
    """Sign the book as a browser would; return the page that it then shows."""
    form = urlencode({"name": name, "message": message})
    request("POST", f"{site.url}/", form, {"Content-Type": "application/x-www-form-urlencoded"})
    return request("GET", f"{site.url}/").text


def test_page_can_be_signed(attach_domain: Site) -> None:
    """The domain answers with a page that has a form."""
    page = request("GET", f"{attach_domain.url}/").text

    assert '<form method="post" action="/">' in page


def test_entry_shows_after_signing(attach_domain: Site, guest: str) -> None:
    """An entry is on the page after a guest has signed the book."""
    page = sign(attach_domain, guest, "what a view")

    assert f"<b>{guest}</b><br>what a view" in page


def test_entry_is_shown_as_text(attach_domain: Site, guest: str) -> None:
    """Markup in an entry is shown, not obeyed."""
    page = sign(attach_domain, guest, "<script>alert()</script>")

    assert f"<b>{guest}</b><br>&lt;script&gt;alert()&lt;/script&gt;" in page


def test_running_version_is_what_was_uploaded(attach_domain: Site, upload_app: Artifact) -> None:
    """The app behind the domain runs from the archive on the artifact server."""
    health = json.loads(request("GET", f"{attach_domain.url}/health").text)

    assert health["version"] == upload_app.version


def test_notification_says_where_the_site_is(
    notify_completion: Notification, attach_domain: Site
) -> None:
    """The message in the inbox gives the address of the site."""
    message = request("GET", notify_completion.message).text

    assert message == f"{attach_domain.url}/ serves version {attach_domain.version[:12]}"
