"""A guestbook as one WSGI application; its entries live in SQLite."""

import json
import os
import sqlite3
import tomllib
from collections.abc import Iterable
from contextlib import closing
from html import escape
from http import HTTPStatus
from pathlib import Path
from string import Template
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIEnvironment

HERE = Path(__file__).resolve().parent
CONFIG = json.loads(HERE.with_name("config.json").read_text("utf-8"))
SETTINGS = tomllib.loads(Path(os.environ["GUESTBOOK_SETTINGS"]).read_text("utf-8"))["guestbook"]
NEWEST = int(SETTINGS["newest"])
PAGE = Template(HERE.joinpath("page.html").read_text("utf-8"))
LONGEST_FORM = 64 * 1024


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    match environ["REQUEST_METHOD"], environ["PATH_INFO"]:
        case "GET", "/":
            status, headers, body = (
                HTTPStatus.OK,
                {"Content-Type": "text/html; charset=utf-8"},
                page(),
            )
        case "POST", "/" if sign(form(environ)):
            status, headers, body = HTTPStatus.SEE_OTHER, {"Location": "/"}, ""
        case "POST", "/":
            status, headers, body = HTTPStatus.BAD_REQUEST, {}, "a name and a message, please"
        case "GET", "/health":
            status, headers, body = HTTPStatus.OK, {"Content-Type": "application/json"}, health()
        case _:
            status, headers, body = HTTPStatus.NOT_FOUND, {}, "no such page"
    start_response(f"{status.value} {status.phrase}", list(headers.items()))
    return [body.encode()]


def page() -> str:
    with closing(database()) as connection:
        entries = connection.execute(
            "SELECT name, message FROM entries ORDER BY id DESC LIMIT ?", (NEWEST,)
        ).fetchall()
    return PAGE.substitute(
        title=escape(SETTINGS["title"]),
        entries="\n".join(
            f"<article><b>{escape(name)}</b><br>{escape(message)}</article>"
            for name, message in entries
        ),
        version=escape(CONFIG["version"]),
    )


def form(environ: WSGIEnvironment) -> dict[str, str]:
    length = min(int(environ.get("CONTENT_LENGTH") or 0), LONGEST_FORM)
    fields = parse_qs(environ["wsgi.input"].read(length).decode("utf-8", "replace"))
    return {name: values[0] for name, values in fields.items()}


def sign(fields: dict[str, str]) -> bool:
    if not fields.keys() >= {"name", "message"}:
        return False
    with closing(database()) as connection, connection:
        connection.execute("INSERT INTO entries (name, message) VALUES (:name, :message)", fields)
    return True


def health() -> str:
    with closing(database()) as connection:
        connection.execute("SELECT count(*) FROM entries")
    return json.dumps({"status": "ok", **CONFIG, "settings": SETTINGS})


def database() -> sqlite3.Connection:
    # mode=rw: a database that is missing is an error, not an empty new one.
    return sqlite3.connect(f"{Path(CONFIG['database']).as_uri()}?mode=rw", uri=True)
