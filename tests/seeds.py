"""Workflows without a fault, and how a test puts one into them.

`SHOP` makes files and a database, `SITE` starts a server, `WARDS` has a station for each parameter.
`sown(SHOP, text)` is the workflow in which the functions of *text* stand in the place of those of
the same name.
"""

from __future__ import annotations

import ast
import json
from textwrap import dedent
from typing import Any

from harness import Project, Run

SHOP = """
    import asyncio, configparser, csv, json, os, shutil, sqlite3, string, subprocess, threading
    import time, tomllib, uuid
    from contextlib import closing, contextmanager, suppress
    from dataclasses import dataclass
    from pathlib import Path
    import tools

    HERE = Path(__file__).parent
    SHOP = HERE / "shop"
    PRICES = HERE / "prices.txt"

    @dataclass
    class Database:
        path: Path
        tables: list[str]

    @dataclass
    class Stock:
        count: int
        prices: dict[str, int]
        names: list[str]

    @dataclass
    class Receipt:
        number: str
        lines: list[str]
        sums: dict[str, dict[str, int]]

    @contextmanager
    def connected(path):
        with closing(sqlite3.connect(path)) as connection, connection:
            yield connection

    def tables_in(path):
        with connected(path) as connection:
            found = connection.execute("select name from sqlite_master where type = 'table'")
            return [name for name, in found]

    def stock_in(path):
        with connected(path) as connection:
            rows = connection.execute("select name, price from items order by name").fetchall()
        return Stock(len(rows), dict(rows), [name for name, _ in rows])

    @station
    def shop() -> Path:
        SHOP.mkdir(exist_ok=True)
        return SHOP

    @shop.check
    def is_a_folder():
        assert SHOP.is_dir()

    @shop.clean
    def remove_folder():
        if SHOP.exists():
            SHOP.rmdir()

    @station(files=["schema.sql"])
    def database(shop: Path) -> Database:
        path = shop / "shop.sqlite"
        with connected(path) as connection:
            connection.executescript((HERE / "schema.sql").read_text())
        return Database(path, tables_in(path))

    @database.find
    def find_database(shop: Path):
        path = shop / "shop.sqlite"
        return Database(path, tables_in(path)) if path.exists() else None

    @database.check
    def has_tables(database: Database):
        assert database.path.exists() and tables_in(database.path) == ["items"]

    @database.clean
    def remove_database(shop: Path):
        (shop / "shop.sqlite").unlink(missing_ok=True)

    @station(files=["items.csv"], env=["SHOP_TAX"])
    def items(database: Database, visit: Visit) -> Stock:
        tax = int(os.environ["SHOP_TAX"])
        with open(HERE / "items.csv") as file:
            rows = [(name, int(price) + tax) for name, price in csv.reader(file)]
        visit.resources["rows"] = len(rows)
        with connected(database.path) as connection:
            connection.execute("delete from items")
            connection.executemany("insert into items values (?, ?)", rows)
        return stock_in(database.path)

    @items.find
    def find_items(database: Database):
        found = stock_in(database.path)
        return found if found.count else None

    @items.check
    def has_rows(database: Database):
        assert stock_in(database.path).count == 2

    @items.check
    def has_prices(database: Database):
        assert stock_in(database.path).prices == {"tea": 4, "pot": 21}

    @items.clean
    def remove_rows(database: Database, visit: Visit):
        with connected(database.path) as connection:
            connection.execute("delete from items")
        del visit.resources["rows"]

    @station
    def receipt(shop: Path, items: Stock) -> Receipt:
        text = json.dumps({"number": 1, "lines": items.names})
        (shop / "receipt.json").write_text(text)
        (shop / "receipt.txt").write_text("thank you")
        return Receipt("1", items.names, {name: {"each": items.prices[name]} for name in items.names})

    @receipt.check
    def is_noted(shop: Path):
        assert (shop / "receipt.json").exists()

    @receipt.check
    def is_printed(shop: Path):
        assert (shop / "receipt.txt").exists()

    @receipt.clean
    def remove_receipt(shop: Path):
        (shop / "receipt.json").unlink(missing_ok=True)
        (shop / "receipt.txt").unlink(missing_ok=True)

    @station(products=["prices.txt"])
    def prices(items: Stock, receipt: Receipt) -> None:
        PRICES.write_text("".join(f"{name}\\n" for name in items.names))

    @prices.check
    def is_written():
        assert len(PRICES.read_text().splitlines()) == 2

    @prices.clean
    def remove_prices():
        PRICES.unlink(missing_ok=True)
"""

SHOP_FILES = {
    "schema.sql": "create table if not exists items (name text primary key, price integer);\n",
    "items.csv": "tea,3\npot,20\n",
    "notes.txt": "not for sale\n",
    "limits.json": '{"most": 100}\n',
    "limits.toml": "most = 100\n",
    "limits.ini": "[limits]\nmost = 100\n",
    "rates/low.txt": "1\n",
    "rates/readme.md": "rates\n",
    "rates/high.txt": "2\n",
}

WARDS = """
    import asyncio, uuid
    from pathlib import Path
    from pytest_choochoo import Secret

    HERE = Path(__file__).parent
    WARDS = HERE / "wards"

    @station(renews=True)
    def house() -> str:
        WARDS.mkdir(exist_ok=True)
        return "house"

    @house.check
    def stands():
        assert WARDS.is_dir()

    @house.clean
    def pull_down():
        if WARDS.exists():
            WARDS.rmdir()

    @pytest.mark.parametrize("ward", ["east", "west"])
    @station(files=["plans/{ward}.txt"], products=["wards/{ward}.txt"])
    def beds(house: str, ward: str) -> dict[str, int]:
        text = (HERE / "plans" / f"{ward}.txt").read_text()
        (WARDS / f"{ward}.txt").write_text(text)
        return {"beds": len(text.splitlines())}

    @beds.find
    def find_beds(ward: str):
        file = WARDS / f"{ward}.txt"
        return {"beds": len(file.read_text().splitlines())} if file.exists() else None

    @beds.check
    def are_there(ward: str):
        assert (WARDS / f"{ward}.txt").exists()

    @beds.clean
    def take_away(ward: str):
        (WARDS / f"{ward}.txt").unlink(missing_ok=True)

    @station
    async def key(house: str) -> dict[str, Secret[str]]:
        await asyncio.sleep(0)
        (WARDS / "key").write_text("opensesame")
        return {"key": Secret("opensesame")}

    @key.check
    async def fits():
        await asyncio.sleep(0)
        assert (WARDS / "key").read_text() == "opensesame"

    @key.clean
    async def take_key():
        await asyncio.sleep(0)
        (WARDS / "key").unlink(missing_ok=True)

    @pytest.mark.parametrize("step", [1, 2, 3])
    @station(in_order=True)
    def move(step: int, beds: dict[str, dict[str, int]], key: dict[str, Secret[str]]) -> int:
        (WARDS / f"step{step}").write_text(key["key"].reveal())
        return sum(each["beds"] for each in beds.values())

    @move.check
    def has_moved(step: int):
        assert (WARDS / f"step{step}").exists()

    @move.clean
    def move_back(step: int):
        (WARDS / f"step{step}").unlink(missing_ok=True)
"""

WARDS_FILES = {"plans/east.txt": "1\n2\n", "plans/west.txt": "3\n", "rules.txt": "quiet\n"}

SITE = """
    import json, os, signal, subprocess, sys, time, urllib.request
    from contextlib import suppress
    from dataclasses import dataclass
    from pathlib import Path

    HERE = Path(__file__).parent
    SITE = HERE / "site"

    @dataclass
    class Server:
        url: str

    def page_at(url):
        with urllib.request.urlopen(url + "/page.txt", timeout=5) as answer:
            return answer.read().decode()

    def answers(url):
        with suppress(OSError):
            return bool(page_at(url))
        return False

    def running():
        file = SITE / "port"
        server = Server(f"http://127.0.0.1:{file.read_text()}") if file.exists() else None
        return server if server and answers(server.url) else None

    @station(files=["page.txt"], products=["site"])
    def pages() -> None:
        SITE.mkdir(exist_ok=True)
        (SITE / "page.txt").write_text((HERE / "page.txt").read_text())

    @pages.check
    def are_there():
        assert (SITE / "page.txt").exists()

    @pages.clean
    def remove_pages():
        for file in SITE.glob("*"):
            file.unlink()
        SITE.rmdir()

    @station(files=["serve.py"])
    def server(pages, visit: Visit) -> Server:
        if found := running():
            return found
        process = subprocess.Popen([sys.executable, HERE / "serve.py", SITE])
        visit.resources["pid"] = process.pid
        for _ in range(500):
            if found := running():
                return found
            time.sleep(0.02)
        raise TimeoutError("the server does not answer")

    @server.find
    def find_server():
        return running()

    @server.check
    def serves(server: Server):
        assert page_at(server.url) == "hello\\n"

    @server.clean
    def stop_server(server: Server | None, visit: Visit):
        if "pid" in visit.resources:
            os.kill(visit.resources["pid"], signal.SIGTERM)
            os.waitpid(visit.resources["pid"], 0)
            (SITE / "port").unlink()
            del visit.resources["pid"]

    @station
    def visitor(server: Server) -> int:
        (SITE / "visitors").write_text(page_at(server.url))
        return len(page_at(server.url))

    @visitor.check
    def was_there():
        assert (SITE / "visitors").exists()

    @visitor.clean
    def forget():
        (SITE / "visitors").unlink(missing_ok=True)
"""

SERVE = """
    import os, sys
    from http.server import HTTPServer, SimpleHTTPRequestHandler
    from pathlib import Path

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_): ...

    os.chdir(sys.argv[1])
    with HTTPServer(("127.0.0.1", 0), Quiet) as server:
        Path("port.new").write_text(str(server.server_port))
        os.replace("port.new", "port")
        server.serve_forever()
"""

HELPER = """
    import os
    from os import environ
    from pathlib import Path

    def notes():
        return (Path(__file__).parent / "notes.txt").read_text()

    def currency():
        return os.environ.get("CURRENCY", "EUR")
"""


def sown(workflow: str, text: str) -> str:
    """Return *workflow* with the functions in *text* in place of those of the same name."""
    lines = dedent(workflow).strip("\n").splitlines()
    for name, function in _functions(text).items():
        [(first, last)] = [
            where for each, where in _places("\n".join(lines)).items() if each == name
        ] or [(len(lines), len(lines))]
        lines[first:last] = ["", *function, ""] if first == last else function
    return "\n".join(lines) + "\n"


def _functions(text: str) -> dict[str, list[str]]:
    lines = dedent(text).strip("\n").splitlines()
    return {name: lines[first:last] for name, (first, last) in _places("\n".join(lines)).items()}


def _places(text: str) -> dict[str, tuple[int, int]]:
    """Return the first line, counted from 0, and the one after the last of each definition."""
    return {
        node.name: (
            min([node.lineno, *(d.lineno for d in node.decorator_list)]) - 1,
            node.end_lineno,
        )
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and node.end_lineno is not None
    }


def open_house(project: Project, fault: str = "") -> None:
    """Write the workflow `WARDS`, with the functions in *fault*, and the files that it needs."""
    project.stations(sown(WARDS, fault))
    for name, text in WARDS_FILES.items():
        project.write(name, text)


def open_site(project: Project, fault: str = "") -> None:
    """Write the workflow `SITE`, with the functions in *fault*, and the files that it needs."""
    project.stations(sown(SITE, fault))
    project.write("serve.py", SERVE)
    project.write("page.txt", "hello\n")


def open_shop(project: Project, fault: str = "", also: str = "") -> None:
    """Write the workflow `SHOP`, with the functions in *fault*, and the files that it needs.

    *also*: the text of more stations.
    """
    project.stations(sown(SHOP, fault) + dedent(also))
    project.write("tools.py", HELPER)
    for name, text in SHOP_FILES.items():
        project.write(name, text)
    (project.path / "link.txt").symlink_to("notes.txt")
    project.setenv("SHOP_TAX", "1")
    project.setenv("CURRENCY", "EUR")


def audited(
    project: Project, *arguments: str, apart: bool = False
) -> tuple[Run, dict[str, dict[str, Any]]]:
    """Audit *project*; return the run, and the facts of each station by its name."""
    run = project.run("--cc-audit", "--cc-json=../audit.json", *arguments, apart=apart)
    document = json.loads((project.path.parent / "audit.json").read_text())
    assert document["exit_code"] == run.exit_code
    return run, {each["name"]: each for each in document["stations"]}


def contents(project: Project) -> frozenset[str]:
    """Return the files and folders of the project, without those of Python and pytest."""
    return frozenset(
        str(path.relative_to(project.path))
        for path in project.path.rglob("*")
        if not {".pytest_cache", "__pycache__", "stdout", "stderr"}
        & {*path.relative_to(project.path).parts}
    )
