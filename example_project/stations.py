"""A guestbook goes live, in eight stations.

    upload_app ─── download_app ─┬─ link_app_to_db ─── run_app ─┬─ attach_domain ─── notify_completion
    create_db ───────────────────┘                              │
    allocate_domain ────────────────────────────────────────────┘

Nothing is faked: the artifact server, the app, the proxy and the inbox are separate processes that
outlive pytest until their stations are cleaned. The plumbing is in `world.py`.
"""

import io
import json
import shutil
import sqlite3
import zipfile
from contextlib import closing, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from pytest_choochoo import Visit, station

from world import RequestRefusedError, request, running, start, stop, upload, zipped

HERE = Path(__file__).resolve().parent
SOURCE = ("**/*.py", "**/*.html")
SCHEMA = HERE / "schema.sql"
DOMAIN = "guestbook.localhost"


@dataclass(frozen=True)
class Artifact:
    url: str
    sha256: str
    size: int


@station(files=[f"app/{pattern}" for pattern in SOURCE])
def upload_app(visit: Visit) -> Artifact:
    """📤 Upload App"""
    archive = zipped(HERE / "app", SOURCE)
    url = f"{running('artifact_server', visit)}/guestbook.zip"
    with visit.progress(total=len(archive), unit="B") as progress:
        upload(url, archive, sent=progress.update)
    return Artifact(url, sha256(archive).hexdigest(), len(archive))


@upload_app.check
def artifact_is_on_the_server(upload_app: Artifact) -> None:
    assert request("HEAD", upload_app.url).headers["ETag"] == f'"{upload_app.sha256}"'


@upload_app.clean
def stop_artifact_server(visit: Visit) -> None:
    stop("artifact_server", visit)
    shutil.rmtree(visit.dir)


@station(files=["schema.sql"])
def create_db(visit: Visit) -> Path:
    """🛢️ Create DB"""
    database = visit.dir / "guestbook.sqlite3"
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(SCHEMA.read_text())
    return database


@create_db.check
def database_has_the_schema(create_db: Path) -> None:
    # mode=ro: the check must not create an empty database.
    there = sqlite3.connect(f"{create_db.as_uri()}?mode=ro", uri=True)
    wanted = sqlite3.connect(":memory:")
    with closing(there), closing(wanted):
        wanted.executescript(SCHEMA.read_text())
        assert tables(there) == tables(wanted)


def tables(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


@create_db.clean
def drop_database(visit: Visit) -> None:
    shutil.rmtree(visit.dir)


@dataclass(frozen=True)
class App:
    root: Path
    version: str


@station
def download_app(upload_app: Artifact, visit: Visit) -> App:
    """📥 Download App"""
    with visit.progress(total=upload_app.size, unit="B") as progress:
        archive = request("GET", upload_app.url, received=progress.update).body
    assert sha256(archive).hexdigest() == upload_app.sha256
    root = visit.dir / "app"
    shutil.rmtree(root, ignore_errors=True)
    zipfile.ZipFile(io.BytesIO(archive)).extractall(root)
    return App(root, version=upload_app.sha256)


@download_app.check
def app_is_unpacked_unaltered(download_app: App) -> None:
    assert sha256(zipped(download_app.root, SOURCE)).hexdigest() == download_app.version


@download_app.clean
def remove_app(visit: Visit) -> None:
    shutil.rmtree(visit.dir)


@dataclass(frozen=True)
class LinkedApp:
    root: Path
    config: Path
    version: str
    database: Path


@station
def link_app_to_db(download_app: App, create_db: Path) -> LinkedApp:
    """🔌 Link App to DB"""
    config = download_app.root.with_name("config.json")
    config.write_text(json.dumps({"version": download_app.version, "database": str(create_db)}))
    return LinkedApp(download_app.root, config, download_app.version, create_db)


@link_app_to_db.check
def config_names_the_database(link_app_to_db: LinkedApp) -> None:
    assert json.loads(link_app_to_db.config.read_text()) == {
        "version": link_app_to_db.version,
        "database": str(link_app_to_db.database),
    }


@link_app_to_db.clean
def remove_config(link_app_to_db: LinkedApp | None) -> None:
    if link_app_to_db is not None:
        link_app_to_db.config.unlink(missing_ok=True)


@dataclass(frozen=True)
class RunningApp:
    url: str
    version: str
    database: Path


@station(files=["settings.toml"])
def run_app(link_app_to_db: LinkedApp, visit: Visit) -> RunningApp:
    """💽 Run App"""
    stop("guestbook", visit)
    settings = str(HERE / "settings.toml")
    url = start("guestbook", visit, link_app_to_db.root, GUESTBOOK_SETTINGS=settings)
    return RunningApp(url, link_app_to_db.version, link_app_to_db.database)


@run_app.check(within=10)
def app_is_healthy(run_app: RunningApp) -> None:
    assert json.loads(request("GET", f"{run_app.url}/health").text) == {
        "status": "ok",
        "version": run_app.version,
        "database": str(run_app.database),
    }


@run_app.clean
def stop_app(visit: Visit) -> None:
    stop("guestbook", visit)
    shutil.rmtree(visit.dir)


@dataclass(frozen=True)
class Domain:
    url: str
    allocation: str


@station
def allocate_domain(visit: Visit) -> Domain:
    """📫 Allocate Domain"""
    proxy = running("proxy", visit)
    domain = Domain(f"http://{DOMAIN}:{urlsplit(proxy).port}", f"{proxy}/domains/{DOMAIN}")
    request("PUT", domain.allocation)
    return domain


@allocate_domain.check
def proxy_knows_the_domain(allocate_domain: Domain) -> None:
    request("GET", allocate_domain.allocation)


@allocate_domain.clean
def stop_proxy(visit: Visit) -> None:
    stop("proxy", visit)
    shutil.rmtree(visit.dir)


@dataclass(frozen=True)
class Site:
    url: str
    version: str
    attachment: str


@station
def attach_domain(run_app: RunningApp, allocate_domain: Domain) -> Site:
    """📪 Attach Domain"""
    attachment = f"{allocate_domain.allocation}/backend"
    request("PUT", attachment, run_app.url)
    return Site(allocate_domain.url, run_app.version, attachment)


@attach_domain.check
def domain_answers_with_the_page(attach_domain: Site) -> None:
    assert attach_domain.version in request("GET", f"{attach_domain.url}/").text


@attach_domain.clean
def detach_domain(attach_domain: Site | None) -> None:
    if attach_domain is not None:
        with suppress(ConnectionError, RequestRefusedError):  # no proxy, or one that forgot it
            request("DELETE", attach_domain.attachment)


@dataclass(frozen=True)
class Notification:
    message: str
    text: str


@station
def notify_completion(attach_domain: Site, visit: Visit) -> Notification:
    """📣 Notify Completion"""
    inbox = running("inbox", visit)
    text = f"{attach_domain.url}/ serves version {attach_domain.version[:12]}"
    path = request("POST", f"{inbox}/messages", text).headers["Location"]
    return Notification(f"{inbox}{path}", text)


@notify_completion.check
def notification_has_arrived(notify_completion: Notification) -> None:
    assert request("GET", notify_completion.message).text == notify_completion.text


@notify_completion.clean
def stop_inbox(visit: Visit) -> None:
    stop("inbox", visit)
    shutil.rmtree(visit.dir)
