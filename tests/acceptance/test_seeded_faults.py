"""`--cc-audit`: it finds the fault that is put into a workflow without faults, and nothing else."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from harness import Project
from seeds import audited, contents, open_house, open_shop, open_site


@dataclass(frozen=True, kw_only=True)
class Seed:
    """A fault in *station*: the functions in *text* replace those of its workflow.

    *found*: strings in the findings, one for each. *leaves*: files that are left, as the clean of
    the fault leaves them.
    """

    station: str
    text: str
    found: tuple[str, ...]
    write: Callable[[Project, str], None] = open_shop
    leaves: frozenset[str] = frozenset()


DATABASE = "shop shop/shop.sqlite"
RECEIPT = "shop/receipt.json shop/receipt.txt"


def shop(station: str, text: str, *found: str, leaves: str = "") -> Seed:
    return Seed(station=station, text=text, found=found, leaves=frozenset(leaves.split()))


def house(station: str, text: str, *found: str, leaves: str = "") -> Seed:
    left = frozenset(leaves.split())
    return Seed(station=station, text=text, found=found, write=open_house, leaves=left)


def site(station: str, text: str, *found: str) -> Seed:
    return Seed(station=station, text=text, found=found, write=open_site)


def each_of(seeds: dict[str, Seed]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "seed", [pytest.param(seed, id=name) for name, seed in seeds.items()]
    )


def sow(project: Project, seed: Seed) -> frozenset[str]:
    """Write the workflow with the fault; return what is there before the audit."""
    seed.write(project, seed.text)
    return contents(project)


def words(finding: dict[str, str]) -> str:
    return f"{finding['done']}, {finding['expected']}, {finding['seen']}"


def require_found(project: Project, seed: Seed, kind: str, *arguments: str) -> None:
    """Audit the workflow with *seed*: the fault is found, as *kind*, and nothing else is."""
    before = sow(project, seed)

    run, stations = audited(project, *arguments, apart=seed.write is open_site)

    faulty = stations.pop(seed.station)
    found = faulty["findings"]
    assert (run.exit_code, faulty["result"]) == (1, "failed")
    assert [each["kind"] for each in found] == [kind] * len(seed.found)
    for finding, text in zip(found, seed.found):
        assert text in words(finding)
        assert finding["seen"] in faulty["cause"]
        assert seed.write is open_house or f"  seen:     {finding['seen']}" in run.text
    assert {
        name: facts["findings"] for name, facts in stations.items() if "findings" in facts
    } == {}
    kept = {facts["result"] for facts in stations.values() if "blocked_by" not in facts}
    blocked = {
        name: facts["blocked_by"] for name, facts in stations.items() if "blocked_by" in facts
    }
    assert kept <= {"audited"}
    assert blocked == ({name: [seed.station] for name in blocked} if seed.leaves else {})
    assert contents(project) - before == seed.leaves


BLIND = {
    "asserts nothing": shop(
        "prices",
        """
        @prices.check
        def is_written():
            PRICES.exists()
        """,
        "check is_written was asked",
    ),
    "folder that exists anyway": shop(
        "prices",
        """
        @prices.check
        def is_written():
            assert PRICES.parent.is_dir()
        """,
        "check is_written was asked",
    ),
    "wrong path": shop(
        "prices",
        """
        @prices.check
        def is_written():
            assert len((HERE / "items.csv").read_text().splitlines()) == 2
        """,
        "check is_written was asked",
    ),
    "swallows the error": shop(
        "prices",
        """
        @prices.check
        def is_written():
            try:
                assert PRICES.read_text()
            except OSError:
                pass
        """,
        "check is_written was asked",
    ),
    "returns True": shop(
        "prices",
        """
        @prices.check
        def is_written():
            return bool(PRICES)
        """,
        "check is_written was asked",
    ),
    "async": shop(
        "prices",
        """
        @prices.check
        async def is_written():
            await asyncio.sleep(0)
            PRICES.exists()
        """,
        "check is_written was asked",
    ),
    "loop over nothing": shop(
        "prices",
        """
        @prices.check
        def is_written():
            for file in HERE.glob("prices.*"):
                assert len(file.read_text().splitlines()) == 2
        """,
        "check is_written was asked",
    ),
    "list is always true": shop(
        "prices",
        """
        @prices.check
        def is_written():
            assert [PRICES.exists()]
        """,
        "check is_written was asked",
    ),
    "or": shop(
        "prices",
        """
        @prices.check
        def is_written():
            assert PRICES.exists() or "not written yet"
        """,
        "check is_written was asked",
    ),
    "command that may fail": shop(
        "prices",
        """
        @prices.check
        def is_written():
            subprocess.run(["test", "-e", PRICES])
        """,
        "check is_written was asked",
    ),
    "within a time": shop(
        "prices",
        """
        @prices.check(within=0.1)
        def is_written():
            assert PRICES is not None
        """,
        "check is_written was asked",
    ),
    "looks upstream": shop(
        "items",
        """
        @items.check
        def has_rows(database: Database):
            assert database.path.exists()
        """,
        "check has_rows was asked",
    ),
    "one of two": shop(
        "items",
        """
        @items.check
        def has_prices(database: Database):
            assert stock_in(database.path).count >= 0
        """,
        "check has_prices was asked",
    ),
    "two of two": shop(
        "receipt",
        """
        @receipt.check
        def is_noted(shop: Path): ...

        @receipt.check
        def is_printed(shop: Path):
            return True
        """,
        "check is_noted was asked",
        "check is_printed was asked",
    ),
    "instance": house(
        "beds[west]",
        """
        @beds.check
        def are_there(ward: str):
            assert ward == "west" or (WARDS / f"{ward}.txt").exists()
        """,
        "check are_there was asked",
    ),
    "in order": house(
        "move[2]",
        """
        @move.check
        def has_moved(step: int):
            assert (WARDS / f"step{max(step, 3) - 2 if step == 2 else step}").exists()
        """,
        "check has_moved was asked",
    ),
}


@each_of(BLIND)
def test_check_that_does_not_see_absence(project: Project, seed: Seed) -> None:
    """A check that passes before anything is done is found, and is not blamed on the clean."""
    require_found(project, seed, "blind check")


TWICE = {
    "folder exists": shop(
        "shop",
        """
        @station
        def shop() -> Path:
            SHOP.mkdir()
            return SHOP
        """,
        "FileExistsError: [Errno 17] File exists: ",
    ),
    "command fails": shop(
        "shop",
        """
        @station
        def shop() -> Path:
            subprocess.run(["mkdir", SHOP], check=True, stderr=subprocess.DEVNULL)
            return SHOP
        """,
        "CalledProcessError: Command '['mkdir', ",
    ),
    "table exists": shop(
        "database",
        """
        @station(files=["schema.sql"])
        def database(shop: Path) -> Database:
            path = shop / "shop.sqlite"
            with connected(path) as connection:
                text = (HERE / "schema.sql").read_text().replace("if not exists", "")
                connection.executescript(text)
            return Database(path, tables_in(path))
        """,
        "OperationalError: table items already exists",
    ),
    "row exists": shop(
        "items",
        """
        @station(files=["items.csv"], env=["SHOP_TAX"])
        def items(database: Database, visit: Visit) -> Stock:
            tax = int(os.environ["SHOP_TAX"])
            rows = [("tea", 3 + tax), ("pot", 20 + tax)]
            visit.resources["rows"] = len(rows)
            with connected(database.path) as connection:
                connection.executemany("insert into items values (?, ?)", rows)
            return stock_in(database.path)
        """,
        "IntegrityError: UNIQUE constraint failed: items.name",
    ),
    "file is made only once": shop(
        "receipt",
        """
        @station
        def receipt(shop: Path, items: Stock) -> Receipt:
            for name in ("receipt.json", "receipt.txt"):
                (shop / name).open("x").close()
            return Receipt("1", items.names, {})
        """,
        "FileExistsError: ",
    ),
    "appends": shop(
        "prices",
        """
        @station(products=["prices.txt"])
        def prices(items: Stock, receipt: Receipt) -> None:
            with PRICES.open("a") as file:
                file.writelines(f"{name}\\n" for name in items.names)
        """,
        "AssertionError: ",
    ),
    "appends and counts": shop(
        "prices",
        """
        @station(products=["prices.txt"])
        def prices(items: Stock, receipt: Receipt) -> int:
            with PRICES.open("a") as file:
                file.writelines(f"{name}\\n" for name in items.names)
            return len(PRICES.read_text().splitlines())

        @prices.check
        def is_written():
            assert PRICES.exists()
        """,
        "the outcome: 2 -> 4",
    ),
    "random in a field": shop(
        "receipt",
        """
        @station
        def receipt(shop: Path, items: Stock) -> Receipt:
            for name in ("receipt.json", "receipt.txt"):
                (shop / name).write_text("thank you")
            return Receipt(uuid.uuid4().hex, items.names, {})
        """,
        "the same outcome, number: '",
    ),
    "random in a list": shop(
        "receipt",
        """
        @station
        def receipt(shop: Path, items: Stock) -> Receipt:
            for name in ("receipt.json", "receipt.txt"):
                (shop / name).write_text("thank you")
            return Receipt("1", ["tea", uuid.uuid4().hex], {})
        """,
        "the same outcome, lines[1]: '",
    ),
    "time in a nested dict": shop(
        "receipt",
        """
        @station
        def receipt(shop: Path, items: Stock) -> Receipt:
            for name in ("receipt.json", "receipt.txt"):
                (shop / name).write_text("thank you")
            return Receipt("1", [], {"tea": {"each": 4, "at": time.time_ns()}})
        """,
        "the same outcome, sums.tea.at: 1",
    ),
    "longer list": shop(
        "receipt",
        """
        @station
        def receipt(shop: Path, visit: Visit, items: Stock) -> Receipt:
            for name in ("receipt.json", "receipt.txt"):
                (shop / name).write_text("thank you")
            before = visit.previous.lines if visit.previous else []
            return Receipt("1", [*before, "tea"], {})
        """,
        "the same outcome, lines: ['tea'] -> ['tea', 'tea']",
    ),
    "another key": shop(
        "receipt",
        """
        @station
        def receipt(shop: Path, visit: Visit, items: Stock) -> Receipt:
            for name in ("receipt.json", "receipt.txt"):
                (shop / name).write_text("thank you")
            return Receipt("1", [], {"again" if visit.previous else "first": {}})
        """,
        "the same outcome, sums.first: {} -> nothing; sums.again: nothing -> {}",
    ),
    "nothing at last": shop(
        "receipt",
        """
        @station
        def receipt(shop: Path, visit: Visit, items: Stock) -> Receipt | None:
            for name in ("receipt.json", "receipt.txt"):
                (shop / name).write_text("thank you")
            return None if visit.previous else Receipt("1", [], {})
        """,
        "the outcome: {'number': '1', 'lines': [], 'sums': {}} -> None",
    ),
    "to and fro": shop(
        "receipt",
        """
        @station
        def receipt(shop: Path, items: Stock) -> Receipt:
            for name in ("receipt.json", "receipt.txt"):
                path = shop / name
                path.unlink() if path.exists() else path.touch()
            return Receipt("1", [], {})
        """,
        "AssertionError: assert False",
    ),
    "skips": shop(
        "receipt",
        """
        @station
        def receipt(shop: Path, visit: Visit, items: Stock) -> Receipt:
            if visit.previous:
                pytest.skip("it is there")
            for name in ("receipt.json", "receipt.txt"):
                (shop / name).touch()
            return Receipt("1", [], {})
        """,
        "it is skipped: it is there",
    ),
    "exits": shop(
        "receipt",
        """
        @station
        def receipt(shop: Path, visit: Visit, items: Stock) -> Receipt:
            for name in ("receipt.json", "receipt.txt"):
                if (shop / name).exists():
                    raise SystemExit(3)
                (shop / name).touch()
            return Receipt("1", [], {})
        """,
        "SystemExit: 3",
    ),
    "teardown fails": shop(
        "receipt",
        """
        @pytest.fixture
        def till(shop: Path):
            yield
            (shop / "till").open("x").close()

        @station
        def receipt(shop: Path, items: Stock, till) -> Receipt:
            for name in ("receipt.json", "receipt.txt"):
                (shop / name).touch()
            return Receipt("1", [], {})

        @receipt.clean
        def remove_receipt(shop: Path):
            for name in ("receipt.json", "receipt.txt", "till"):
                (shop / name).unlink(missing_ok=True)
        """,
        "FileExistsError: ",
    ),
    "new ids": shop(
        "items",
        """
        @station(files=["items.csv"], env=["SHOP_TAX"])
        def items(database: Database, visit: Visit) -> Stock:
            tax = int(os.environ["SHOP_TAX"])
            rows = [("tea", 3 + tax), ("pot", 20 + tax)]
            visit.resources[f"rows-{len(visit.resources) + 1}"] = len(rows)
            with connected(database.path) as connection:
                connection.executemany("replace into items values (?, ?)", rows)
            return stock_in(database.path)

        @items.clean
        def remove_rows(database: Database, visit: Visit):
            with connected(database.path) as connection:
                connection.execute("delete from items")
            visit.resources.clear()
        """,
        "more resources: rows-2",
    ),
    "async": house(
        "key",
        """
        @station
        async def key(house: str) -> dict[str, Secret[str]]:
            await asyncio.sleep(0)
            with (WARDS / "key").open("a") as file:
                file.write("opensesame")
            return {"key": Secret("opensesame")}
        """,
        "AssertionError: ",
    ),
    "instance": house(
        "beds[west]",
        """
        @pytest.mark.parametrize("ward", ["east", "west"])
        @station(files=["plans/{ward}.txt"], products=["wards/{ward}.txt"])
        def beds(house: str, ward: str) -> dict[str, int]:
            text = (HERE / "plans" / f"{ward}.txt").read_text()
            with (WARDS / f"{ward}.txt").open("a" if ward == "west" else "w") as file:
                file.write(text)
            return find_beds(ward)
        """,
        "the same outcome, beds: 1 -> 2",
    ),
    "renews": house(
        "house",
        """
        @station(renews=True)
        def house() -> str:
            WARDS.mkdir()
            return "house"
        """,
        "FileExistsError: ",
    ),
    "in order": house(
        "move[2]",
        """
        @pytest.mark.parametrize("step", [1, 2, 3])
        @station(in_order=True)
        def move(step: int, beds: dict[str, dict[str, int]], key: dict[str, Secret[str]]) -> int:
            file = WARDS / f"step{step}"
            if step == 2 and file.exists():
                raise RuntimeError("step 2 was taken already")
            file.write_text(key["key"].reveal())
            return 0
        """,
        "RuntimeError: step 2 was taken already",
    ),
}


@each_of(TWICE)
def test_station_that_is_not_idempotent(project: Project, seed: Seed) -> None:
    """A second visit that fails, or that comes to something else, is found."""
    require_found(project, seed, "not idempotent")


FIND = {
    "another value": shop(
        "items",
        """
        @items.find
        def find_items(database: Database):
            found = stock_in(database.path)
            return Stock(1, found.prices, found.names) if found.count else None
        """,
        "count: 2 -> 1",
    ),
    "nothing": shop(
        "items",
        """
        @items.find
        def find_items(database: Database):
            return None
        """,
        "it returned nothing",
    ),
    "raises": shop(
        "items",
        """
        @items.find
        def find_items(database: Database):
            raise LookupError("nowhere")
        """,
        "it returned nothing",
    ),
    "wrong place": shop(
        "items",
        """
        @items.find
        def find_items(database: Database):
            path = database.path.with_name("stock.sqlite")
            return stock_in(path) if path.exists() else None
        """,
        "it returned nothing",
    ),
    "stale field": shop(
        "items",
        """
        @items.find
        def find_items(database: Database):
            found = stock_in(database.path)
            return Stock(found.count, {"tea": 3, "pot": 21}, found.names) if found.count else None
        """,
        "prices.tea: 4 -> 3",
    ),
    "another name of the host": site(
        "server",
        """
        @server.find
        def find_server():
            found = running()
            return Server(found.url.replace("127.0.0.1", "localhost")) if found else None
        """,
        "url: 'http://127.0.0.1:",
    ),
    "another order": shop(
        "items",
        """
        @items.find
        def find_items(database: Database):
            found = stock_in(database.path)
            return Stock(found.count, found.prices, found.names[::-1]) if found.count else None
        """,
        "names[0]: 'pot' -> 'tea'; names[1]: 'tea' -> 'pot'",
    ),
    "another type": shop(
        "items",
        """
        @items.find
        def find_items(database: Database):
            return stock_in(database.path).names or None
        """,
        "the outcome of station 'items' cannot be stored (list): Expected `object`, got `array`; "
        "return plain data, or declare its type in the return annotation",
    ),
    "async": shop(
        "items",
        """
        @items.find
        async def find_items(database: Database):
            await asyncio.sleep(0)
            found = stock_in(database.path)
            return Stock(0, found.prices, found.names) if found.count else None
        """,
        "count: 2 -> 0",
    ),
    "instance": house(
        "beds[west]",
        """
        @beds.find
        def find_beds(ward: str):
            return {"beds": 2} if (WARDS / f"{ward}.txt").exists() else None
        """,
        "beds: 1 -> 2",
    ),
}


@each_of(FIND)
def test_find_that_returns_something_else(project: Project, seed: Seed) -> None:
    """A find that does not return what the visit returned is found."""
    require_found(project, seed, "wrong find")


UNDONE = {
    "does nothing": shop(
        "prices",
        """
        @prices.clean
        def remove_prices(): ...
        """,
        "check is_written does not pass any more, is_written still passes",
        leaves=f"prices.txt {RECEIPT} {DATABASE}",
    ),
    "wrong path": shop(
        "prices",
        """
        @prices.clean
        def remove_prices():
            PRICES.with_name("price.txt").unlink(missing_ok=True)
        """,
        "check is_written does not pass any more, is_written still passes",
        leaves=f"prices.txt {RECEIPT} {DATABASE}",
    ),
    "swallows the error": shop(
        "prices",
        """
        @prices.clean
        def remove_prices():
            with suppress(OSError):
                PRICES.rmdir()
        """,
        "check is_written does not pass any more, is_written still passes",
        leaves=f"prices.txt {RECEIPT} {DATABASE}",
    ),
    "half": shop(
        "receipt",
        """
        @receipt.clean
        def remove_receipt(shop: Path):
            (shop / "receipt.json").unlink(missing_ok=True)
        """,
        "check is_printed does not pass any more, is_printed still passes",
        leaves=f"shop/receipt.txt {DATABASE}",
    ),
    "find still finds": shop(
        "items",
        """
        @items.clean
        def remove_rows(database: Database, visit: Visit):
            with connected(database.path) as connection:
                connection.execute("delete from items where name = 'tea'")
            del visit.resources["rows"]
        """,
        "it found {'count': 1, 'prices': {'pot': 21}, 'names': ['pot']}",
        leaves=DATABASE,
    ),
    "find always finds": shop(
        "items",
        """
        @items.find
        def find_items(database: Database):
            return stock_in(database.path)
        """,
        "it found {'count': 0, 'prices': {}, 'names': []}",
        leaves=DATABASE,
    ),
    "check makes what it looks for": shop(
        "database",
        """
        @database.check
        def has_tables(shop: Path):
            assert tables_in(shop / "shop.sqlite") == ["items"]
        """,
        "it found {'path': '<rootdir>/shop/shop.sqlite', 'tables': []}",
        leaves=DATABASE,
    ),
    "id of a process is left": site(
        "server",
        """
        @server.clean
        def stop_server(server: Server | None, visit: Visit):
            with suppress(ProcessLookupError):
                os.kill(visit.resources["pid"], signal.SIGTERM)
                os.waitpid(visit.resources["pid"], 0)
                (SITE / "port").unlink()
        """,
        "left in its resources: pid",
    ),
    "ids are left": shop(
        "items",
        """
        @items.clean
        def remove_rows(database: Database, visit: Visit):
            with connected(database.path) as connection:
                connection.execute("delete from items")
        """,
        "left in its resources: rows",
    ),
    "async": house(
        "key",
        """
        @key.clean
        async def take_key():
            await asyncio.sleep(0)
        """,
        "check fits does not pass any more, fits still passes",
        leaves="wards wards/key",
    ),
    "instance": house(
        "beds[west]",
        """
        @beds.clean
        def take_away(ward: str):
            (WARDS / "east.txt").unlink(missing_ok=True)
        """,
        "check are_there does not pass any more, are_there still passes",
        "it found {'beds': 1}",
        leaves="wards wards/west.txt",
    ),
}


@each_of(UNDONE)
def test_clean_that_does_not_undo(project: Project, seed: Seed) -> None:
    """A clean after which something is still there is found; what is upstream of it stays."""
    require_found(project, seed, "not undone")


AGAIN = {
    "lock is left": shop(
        "receipt",
        """
        @station
        def receipt(shop: Path, visit: Visit, items: Stock) -> Receipt:
            lock = HERE / "lock"
            if lock.exists() and not visit.previous:
                raise RuntimeError("another receipt is being written")
            for name in (lock, shop / "receipt.json", shop / "receipt.txt"):
                name.touch()
            return Receipt("1", items.names, {})
        """,
        "RuntimeError: another receipt is being written",
        leaves="lock",
    ),
    "clean removes an input": shop(
        "items",
        """
        @items.clean
        def remove_rows(database: Database, visit: Visit):
            with connected(database.path) as connection:
                connection.execute("delete from items")
            del visit.resources["rows"]
            (HERE / "items.csv").unlink(missing_ok=True)
        """,
        "items.csv",
    ),
    "clean leaves a tombstone": shop(
        "items",
        """
        @station(files=["items.csv"], env=["SHOP_TAX"])
        def items(database: Database, visit: Visit) -> Stock:
            with connected(database.path) as connection:
                connection.execute("create table if not exists closed (day integer)")
                visit.resources["rows"] = 2
                if not connection.execute("select * from closed").fetchall():
                    rows = [("tea", 4), ("pot", 21)]
                    connection.executemany("replace into items values (?, ?)", rows)
            return stock_in(database.path)

        @items.clean
        def remove_rows(database: Database, visit: Visit):
            with connected(database.path) as connection:
                connection.execute("delete from items")
                connection.execute("insert into closed values (1)")
            visit.resources.clear()

        @database.check
        def has_tables(database: Database):
            assert database.path.exists() and "items" in tables_in(database.path)

        @database.find
        def find_database(shop: Path):
            path = shop / "shop.sqlite"
            return Database(path, tables_in(path)[:1]) if path.exists() else None
        """,
        "check has_rows does not pass: AssertionError: ",
    ),
    "product of a fixture is gone": shop(
        "prices",
        """
        @prices.clean
        def remove_prices():
            PRICES.unlink(missing_ok=True)
            shutil.rmtree(HERE / "rates", ignore_errors=True)

        @station(products=["prices.txt"], files=["rates/low.txt"])
        def prices(items: Stock, receipt: Receipt) -> None:
            rate = int((HERE / "rates/low.txt").read_text())
            PRICES.write_text("".join(f"{name} {rate}\\n" for name in items.names))
        """,
        "rates/low.txt",
    ),
    "instance": house(
        "beds[west]",
        """
        @pytest.mark.parametrize("ward", ["east", "west"])
        @station(files=["plans/{ward}.txt"], products=["wards/{ward}.txt"])
        def beds(house: str, ward: str, visit: Visit) -> dict[str, int]:
            if (HERE / f"{ward}-closed").exists():
                raise RuntimeError(f"{ward} is closed")
            text = (HERE / "plans" / f"{ward}.txt").read_text()
            (WARDS / f"{ward}.txt").write_text(text)
            return {"beds": len(text.splitlines())}

        @beds.clean
        def take_away(ward: str, visit: Visit):
            (WARDS / f"{ward}.txt").unlink(missing_ok=True)
            if ward == "west":
                (HERE / "west-closed").touch()
        """,
        "RuntimeError: west is closed",
        leaves="west-closed",
    ),
}


@each_of(AGAIN)
def test_what_cannot_be_made_again(project: Project, seed: Seed) -> None:
    """A clean that makes another visit impossible is found by a deep audit."""
    require_found(project, seed, "not repeatable", "--cc-audit=deep")


def test_only_a_deep_audit_visits_after_the_clean(project: Project) -> None:
    """An audit that is not deep has no finding where a clean makes another visit impossible."""
    sow(project, AGAIN["lock is left"])

    run, _ = audited(project)

    assert (run.exit_code, run.closing) == (0, "5 audited")


FAILS = {
    "visit raises": (
        """
        @station
        def receipt(shop: Path, items: Stock) -> Receipt:
            raise RuntimeError("no paper")
        """,
        "RuntimeError: no paper",
    ),
    "check does not pass": (
        """
        @station
        def receipt(shop: Path, items: Stock) -> Receipt:
            (shop / "receipt.json").touch()
            return Receipt("1", items.names, {})
        """,
        "AssertionError: assert False",
    ),
    "outcome cannot be kept": (
        """
        @station
        def receipt(shop: Path, items: Stock):
            for name in ("receipt.json", "receipt.txt"):
                (shop / name).touch()
            return threading
        """,
        "module",
    ),
    "check cannot be asked": (
        """
        @receipt.check
        def is_noted(shop: Path):
            assert (shop / "receipt.json").exist()

        @receipt.check
        def is_printed(shop: Path):
            assert (shoop / "receipt.txt").exists()
        """,
        "check is_printed could not be asked: NameError: name 'shoop' is not defined",
    ),
    "find cannot be asked": (
        """
        @receipt.find
        def find_receipt(shop: Path):
            return None if (shoop / "receipt.json").exists() else None
        """,
        "its find could not be asked: NameError: name 'shoop' is not defined",
    ),
}


@pytest.mark.parametrize(("text", "cause"), FAILS.values(), ids=FAILS)
def test_failure_as_in_any_run(project: Project, text: str, cause: str) -> None:
    """A failure of any run is one of an audit: downstream is blocked, and all is cleaned."""
    open_shop(project, text)
    before = contents(project)

    run, stations = audited(project)

    assert run.exit_code == 1
    assert {name: facts["result"] for name, facts in stations.items()} == {
        "prices": "blocked",
        "receipt": "failed",
        "items": "audited",
        "database": "audited",
        "shop": "audited",
    }
    assert cause in stations["receipt"]["cause"]
    assert stations["prices"]["blocked_by"] == ["receipt"]
    assert [name for name, facts in stations.items() if "findings" in facts] == []
    assert contents(project) == before


def test_clean_that_raises(project: Project) -> None:
    """A clean that raises fails its station, and what is upstream of it stays."""
    text = """
        @receipt.clean
        def remove_receipt(shop: Path):
            raise RuntimeError("no waste paper basket")
        """
    open_shop(project, text)

    run, stations = audited(project)

    assert {name: facts["result"] for name, facts in stations.items()} == {
        "prices": "audited",
        "receipt": "failed",
        "items": "blocked",
        "database": "blocked",
        "shop": "blocked",
    }
    assert stations["receipt"]["cause"] == "RuntimeError: no waste paper basket"
    assert "findings" not in stations["receipt"]
    assert run.outlines[-4:-3] == (
        "next: fix receipt, then run pytest --cc-clean --cc-profile=audit",
    )


def test_secrets_of_findings(project: Project) -> None:
    """An outcome that differs in a secret is found, without the secret."""
    text = """
        @station
        async def key(house: str) -> dict[str, Secret[str]]:
            word = uuid.uuid4().hex
            (WARDS / "key").write_text(word)
            (HERE.parent / "words.txt").open("a").write(f"{word}\\n")
            return {"key": Secret(word)}

        @key.check
        async def fits():
            assert (WARDS / "key").exists()

        @key.find
        def find_key():
            file = WARDS / "key"
            return {"key": Secret(file.read_text()[::-1])} if file.exists() else None
        """
    open_house(project, text)
    before = contents(project)

    run, stations = audited(project, "-v")

    kinds = [(each["kind"], each["seen"]) for each in stations["key"]["findings"]]
    seen = "key: '***' -> '***'"
    assert kinds == [("not idempotent", seen), ("wrong find", seen)]
    assert (run.exit_code, contents(project)) == (1, before)
    words = (project.path.parent / "words.txt").read_text().split()
    assert len(words) == 2
    written = run.text + (project.path.parent / "audit.json").read_text()
    assert [word for word in (*words, words[1][::-1]) if word in written] == []


# A statement for each way to read a file that is declared nowhere, and that file.
FILES = {
    "by_open": ("open(HERE / 'notes.txt').close()", "notes.txt"),
    "by_path": ("HERE.joinpath('notes.txt').read_text()", "notes.txt"),
    "by_bytes": ("(HERE / 'notes.txt').read_bytes()", "notes.txt"),
    "by_path_open": ("(HERE / 'notes.txt').open().close()", "notes.txt"),
    "by_relative_path": ("Path('notes.txt').read_text()", "notes.txt"),
    "by_descriptor": ("os.close(os.open(HERE / 'notes.txt', os.O_RDONLY))", "notes.txt"),
    "by_update": ("open(HERE / 'notes.txt', 'r+').close()", "notes.txt"),
    "by_json": ("json.load(open(HERE / 'limits.json'))", "limits.json"),
    "by_toml": ("tomllib.loads((HERE / 'limits.toml').read_text())", "limits.toml"),
    "by_ini": ("configparser.ConfigParser().read(HERE / 'limits.ini')", "limits.ini"),
    "by_link": ("(HERE / 'link.txt').read_text()", "notes.txt"),
    "by_lines": ("list(fileinput.input(HERE / 'notes.txt'))", "notes.txt"),
    "by_copy": ("shutil.copyfile(HERE / 'notes.txt', os.devnull)", "notes.txt"),
    "by_glob": ("[path.read_text() for path in HERE.glob('rates/low*')]", "rates/low.txt"),
    "by_archive": ("zipfile.ZipFile(HERE / 'box.zip').namelist()", "box.zip"),
    "by_thread": ("in_a_thread(lambda: open(HERE / 'notes.txt').close())", "notes.txt"),
    "by_map": ("list(map(open, [HERE / 'notes.txt']))", "notes.txt"),
    "by_undeclared_product": ("(SHOP / 'receipt.json').read_text()", "shop/receipt.json"),
}
# A statement for each way to ask for a variable that is declared nowhere.
VARIABLES = {
    "by_item": ("os.environ['CURRENCY']", "CURRENCY"),
    "by_get": ("os.environ.get('CURRENCY')", "CURRENCY"),
    "by_default": ("os.environ.get('DISCOUNT', '0')", "DISCOUNT"),
    "by_getenv": ("os.getenv('CURRENCY', 'EUR')", "CURRENCY"),
    "by_presence": ("'DISCOUNT' in os.environ", "DISCOUNT"),
    "by_setdefault": ("os.environ.setdefault('CURRENCY', 'EUR')", "CURRENCY"),
    "by_expanding": ("os.path.expandvars('${CURRENCY}/notes')", "CURRENCY"),
    "by_format": ("'{CURRENCY}'.format_map(os.environ)", "CURRENCY"),
    "by_template": ("string.Template('$CURRENCY').substitute(os.environ)", "CURRENCY"),
    "by_other_name": ("tools.environ['CURRENCY']", "CURRENCY"),
    "by_loop": ("[os.environ[name] for name in ('CURRENCY',)]", "CURRENCY"),
    "by_variable_thread": ("in_a_thread(lambda: os.getenv('CURRENCY'))", "CURRENCY"),
    "by_map_of_names": ("list(map(os.environ.get, ['CURRENCY']))", "CURRENCY"),
}
# Stations that read by functions of others, each with the file, or the variable, and the place.
OTHERS = """
    import fileinput, zipfile

    def in_a_thread(function):
        thread = threading.Thread(target=function)
        thread.start()
        thread.join()

    @pytest.fixture
    def notes(shop: Path):
        return tools.notes()

    @pytest.fixture(scope="module")
    def raw_limits():
        with open(HERE / "limits.json") as file:
            yield file.read()

    @pytest.fixture
    def limits(raw_limits):
        return json.loads(raw_limits)

    @pytest.fixture
    def till():
        return tools.currency()

    @station
    def by_helper(items: Stock) -> None:
        tools.notes()
        tools.currency()

    @station
    def by_fixture(items: Stock, notes: str) -> None: ...

    @station
    def by_fixture_of_a_fixture(items: Stock, limits: dict) -> None: ...

    @station
    def by_shared_fixture(items: Stock, raw_limits: str) -> None: ...

    @pytest.mark.usefixtures("till")
    @station
    def by_used_fixture(items: Stock) -> None: ...

    @station
    def by_folder(items: Stock) -> None:
        for path in sorted((HERE / "rates").iterdir()):
            path.read_text()

    @station
    async def by_waiting(items: Stock) -> None:
        await asyncio.sleep(0)
        open(HERE / "notes.txt").close()
        await asyncio.to_thread(tools.currency)

    @pytest.mark.parametrize("shelf", ["low", "high"])
    @station(files=["rates/low.txt"])
    def by_instance(items: Stock, shelf: str) -> None:
        (HERE / "rates" / f"{shelf}.txt").read_text()

    @station(files=["rates/*.txt"], env=["CURRENCY"])
    def by_name_of_another(items: Stock) -> None:
        (HERE / "rates" / "low.txt").read_text()
        (HERE / "rates" / "readme.md").read_text()
"""


def test_undeclared_inputs(project: Project) -> None:
    """Whatever a visit or a fixture of it reads and nothing declares is found, with its line."""
    statements = FILES | VARIABLES
    text = "".join(
        f"""
    @station
    def {name}(receipt: Receipt, items: Stock) -> None:
        {statement}
"""
        for name, (statement, _) in statements.items()
    )
    open_shop(project, also=OTHERS + text)
    with zipfile.ZipFile(project.path / "box.zip", "w") as box:
        box.writestr("tea", "green")
    before = contents(project)
    lines = (project.path / "stations.py").read_text().splitlines()

    run, stations = audited(project)

    assert (run.exit_code, contents(project)) == (1, before)
    found = {
        name: [finding["seen"] for finding in facts["findings"]]
        for name, facts in stations.items()
        if "findings" in facts
    }
    expected = {
        name: [f"it read {read} at stations.py:{lines.index(f'    {statement}') + 1}"]
        for name, (statement, read) in statements.items()
    }

    def at(text: str) -> str:
        [number] = [number for number, line in enumerate(lines, 1) if text in line]
        return f"stations.py:{number}"

    folder = at("        path.read_text()")
    waiting = at('open(HERE / "notes.txt")')
    limits, shelf = at('open(HERE / "limits.json") as'), at('"rates" / f"')
    readme = at('"readme.md"')
    assert found == expected | {
        "by_helper": ["it read notes.txt at tools.py:6", "it read CURRENCY at tools.py:9"],
        "by_fixture": ["it read notes.txt at tools.py:6"],
        "by_fixture_of_a_fixture": [f"it read limits.json at {limits}"],
        "by_shared_fixture": [f"it read limits.json at {limits}"],
        "by_used_fixture": ["it read CURRENCY at tools.py:9"],
        "by_folder": [
            f"it read rates/{name} at {folder}" for name in ("high.txt", "low.txt", "readme.md")
        ],
        "by_waiting": [f"it read notes.txt at {waiting}", "it read CURRENCY at tools.py:9"],
        "by_instance[high]": [f"it read rates/high.txt at {shelf}"],
        "by_name_of_another": [f"it read rates/readme.md at {readme}"],
    }
    kinds = {each["kind"] for facts in stations.values() for each in facts.get("findings", ())}
    assert kinds == {"undeclared input"}
    [by_open, by_item] = [stations[name]["findings"][0] for name in ("by_open", "by_item")]
    assert by_open["expected"] == "what it reads is declared: files=['notes.txt']"
    assert by_item["expected"] == "what it reads is declared: env=['CURRENCY']"
