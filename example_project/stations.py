"""A guestbook goes live, in eight stations.

    upload_app ─── download_app ─┬─ link_app_to_db ─── run_app ─┬─ attach_domain ─── notify_completion
    create_db ───────────────────┘                              │
    allocate_domain ────────────────────────────────────────────┘

Nothing is faked: the artifact server, the app, the proxy and the inbox are separate processes that
outlive pytest until their stations are cleaned. They belong to the machine, not to the checkout: a
visit makes something, its find sees it from any checkout, and its check says whether it is as it
should be. The plumbing is in `world.py`.
"""

import io
import json
import sqlite3
import zipfile
from contextlib import closing, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from pytest_choochoo import Visit, station

from world import (
    HERE,
    PORTS,
    SETTINGS,
    WORLD,
    RequestRefusedError,
    address,
    remove,
    request,
    running,
    start,
    stop,
    upload,
    zipped,
)

SOURCE = ("**/*.py", "**/*.html")
SCHEMA = HERE / "schema.sql"
ARTIFACT = f"{address('artifact_server')}/guestbook.zip"
DATABASE = WORLD / "guestbook.sqlite3"
APP = WORLD / "app"
CONFIG = WORLD / "config.json"
DOMAIN = "guestbook.localhost"
SITE = f"http://{DOMAIN}:{PORTS['proxy']}"
ALLOCATION = f"{address('proxy')}/domains/{DOMAIN}"


def version_of(archive: bytes) -> str:
    return sha256(archive).hexdigest()


@dataclass(frozen=True)
class Artifact:
    url: str
    version: str
    size: int


@station(files=[f"app/{pattern}" for pattern in SOURCE], place="host")
def upload_app(visit: Visit) -> Artifact:
    """📤 Upload App"""
    running("artifact_server")
    archive = zipped(HERE / "app", SOURCE)
    with visit.progress(total=len(archive), unit="B") as progress:
        upload(ARTIFACT, archive, sent=progress.update)
    return Artifact(ARTIFACT, version_of(archive), len(archive))


@upload_app.find
def uploaded_app() -> Artifact:
    headers = request("HEAD", ARTIFACT).headers
    return Artifact(ARTIFACT, headers["ETag"].strip('"'), int(headers["Content-Length"]))


@upload_app.check
def artifact_is_made_of_the_source() -> None:
    assert uploaded_app().version == version_of(zipped(HERE / "app", SOURCE))


@upload_app.clean
def stop_artifact_server() -> None:
    stop("artifact_server")
    remove(WORLD / "artifacts")


@station(files=["schema.sql"], place="host")
def create_db() -> Path:
    """🛢️ Create DB"""
    WORLD.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(DATABASE)) as connection:
        connection.executescript(SCHEMA.read_text())
    return DATABASE


@create_db.find
def created_db() -> Path | None:
    return DATABASE if DATABASE.exists() else None


@create_db.check
def database_has_the_schema() -> None:
    # mode=ro: the check must not create an empty database.
    there = sqlite3.connect(f"{DATABASE.as_uri()}?mode=ro", uri=True)
    wanted = sqlite3.connect(":memory:")
    with closing(there), closing(wanted):
        wanted.executescript(SCHEMA.read_text())
        assert tables(there) == tables(wanted)


def tables(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


@create_db.clean
def drop_database() -> None:
    remove(DATABASE)


@dataclass(frozen=True)
class App:
    root: Path
    version: str


@station(place="host")
def download_app(upload_app: Artifact, visit: Visit) -> App:
    """📥 Download App"""
    with visit.progress(total=upload_app.size, unit="B") as progress:
        archive = request("GET", upload_app.url, received=progress.update).body
    remove(APP)
    zipfile.ZipFile(io.BytesIO(archive)).extractall(APP)
    return App(APP, version_of(archive))


@download_app.find
def downloaded_app() -> App:
    return App(APP, version_of(zipped(APP, SOURCE)))


@download_app.check
def app_is_what_was_uploaded(upload_app: Artifact) -> None:
    assert downloaded_app().version == upload_app.version


@download_app.clean
def remove_app() -> None:
    remove(APP)


@dataclass(frozen=True)
class LinkedApp:
    root: Path
    version: str
    database: Path


@station(place="host")
def link_app_to_db(download_app: App, create_db: Path) -> LinkedApp:
    """🔌 Link App to DB"""
    CONFIG.write_text(json.dumps({"version": download_app.version, "database": str(create_db)}))
    return linked_app()


@link_app_to_db.find
def linked_app() -> LinkedApp:
    config = json.loads(CONFIG.read_text())
    return LinkedApp(APP, config["version"], Path(config["database"]))


@link_app_to_db.check
def config_names_app_and_database(download_app: App, create_db: Path) -> None:
    assert linked_app().version == download_app.version
    assert linked_app().database == create_db


@link_app_to_db.clean
def remove_config() -> None:
    remove(CONFIG)


@dataclass(frozen=True)
class RunningApp:
    url: str
    version: str


@station(files=["settings.toml"], place="host")
def run_app(link_app_to_db: LinkedApp) -> RunningApp:
    """💽 Run App"""
    stop("guestbook")
    settings = str(HERE / "settings.toml")
    url = start("guestbook", link_app_to_db.root, GUESTBOOK_SETTINGS=settings)
    return RunningApp(url, link_app_to_db.version)


@run_app.find
def running_app() -> RunningApp:
    return RunningApp(address("guestbook"), health()["version"])


@run_app.check(within=10)
def app_is_healthy(link_app_to_db: LinkedApp) -> None:
    assert health()["version"] == link_app_to_db.version
    assert health()["database"] == str(link_app_to_db.database)
    assert health()["settings"] == SETTINGS["guestbook"]


def health(url: str = address("guestbook")) -> Any:
    return json.loads(request("GET", f"{url}/health").text)


@run_app.clean
def stop_app() -> None:
    stop("guestbook")


@station(place="host")
def allocate_domain() -> str:
    """📫 Allocate Domain"""
    running("proxy")
    request("PUT", ALLOCATION)
    return SITE


@allocate_domain.find
def allocated_domain() -> str:
    request("GET", ALLOCATION)
    return SITE


@allocate_domain.check
def proxy_knows_the_domain() -> None:
    request("GET", ALLOCATION)


@allocate_domain.clean
def stop_proxy() -> None:
    stop("proxy")


@dataclass(frozen=True)
class Site:
    url: str
    version: str


@station(place="host")
def attach_domain(run_app: RunningApp, allocate_domain: str) -> Site:
    """📪 Attach Domain"""
    request("PUT", f"{ALLOCATION}/backend", run_app.url)
    return Site(allocate_domain, run_app.version)


@attach_domain.find
def attached_domain(allocate_domain: str) -> Site:
    return Site(allocate_domain, health(allocate_domain)["version"])


@attach_domain.check
def domain_leads_to_the_app(run_app: RunningApp, allocate_domain: str) -> None:
    assert attached_domain(allocate_domain).version == run_app.version


@attach_domain.clean
def detach_domain() -> None:
    with suppress(ConnectionError, RequestRefusedError):  # no proxy, or one that forgot it
        request("DELETE", f"{ALLOCATION}/backend")


@dataclass(frozen=True)
class Notification:
    message: str
    text: str


def announcement(site: Site) -> Notification:
    """The notification of *site*: one a version, so that it is sent once however often."""
    version = site.version[:12]
    message = f"{address('inbox')}/messages/{version}"
    return Notification(message, f"{site.url}/ serves version {version}")


@station(place="host")
def notify_completion(attach_domain: Site) -> Notification:
    """📣 Notify Completion"""
    running("inbox")
    notification = announcement(attach_domain)
    request("PUT", notification.message, notification.text)
    return notification


@notify_completion.find
def arrived_notification(attach_domain: Site) -> Notification:
    message = announcement(attach_domain).message
    return Notification(message, request("GET", message).text)


@notify_completion.check
def notification_has_arrived(attach_domain: Site) -> None:
    assert arrived_notification(attach_domain).text == announcement(attach_domain).text


@notify_completion.clean
def stop_inbox() -> None:
    stop("inbox")
