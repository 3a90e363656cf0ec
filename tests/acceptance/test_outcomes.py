"""Outcomes: which values can be stored, and the copies that consumers receive."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from harness import Project

from pytest_choochoo.engine.ledger.schema import checksum

TYPES = """
import enum
import uuid
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple, Optional, TypedDict

import attrs

class Kind(enum.Enum):
    GREEN = "green"
    BLACK = "black"

class Mixed(enum.Enum):
    GREEN = "green"
    BLACK = 2

class Size(enum.IntEnum):
    SMALL = 1

@dataclass
class Cup:
    kind: Kind
    size: int = 1
    tags: list[str] = field(default_factory=list)

@dataclass(frozen=True)
class Table:
    cups: tuple[Cup, ...]
    room: dict[str, Path]

@attrs.define
class Pot:
    litres: Decimal
    cup: Cup | None = None

class Spoon(NamedTuple):
    length: int
    label: str

class Order(TypedDict):
    at: datetime
    cups: list[Cup]

class Odd(enum.Enum):
    ONE = 1
    TEXT = "1"
    FLOAT = 1.5
    TRUE = False
    NONE = None
    PAIR = (1, 2)
    PATH = Path("a")
    BIG = 2**70

class Slot(NamedTuple):
    odd: Odd
    path: Path

@attrs.define
class Bowl:
    mixed: Mixed
    since: date = date(2026, 1, 2)

class Place(TypedDict):
    at: Odd

@dataclass(frozen=True)
class Tray:
    mixed: Mixed
    slots: list[Slot]
    bowl: Bowl
    place: Place
    cups: list[Cup] = field(default_factory=lambda: [Cup(Kind.GREEN)])

class Unknown:
    pass

"""

KEPT = [
    ("", "None"),
    ("", "{'a': [1, 2.5, True, None, 'x', {'b': []}]}"),
    ("", "10 ** 30"),
    ("", "'tea ☕'"),
    ("-> int", "12"),
    ("-> float", "0.1 + 0.2"),
    ("-> Cup", "Cup(Kind.GREEN, 2, ['hot'])"),
    ("-> Table", "Table((Cup(Kind.BLACK),), {'kitchen': Path('/x')})"),
    ("-> Pot", "Pot(Decimal('1.50'), Cup(Kind.GREEN))"),
    ("-> Spoon", "Spoon(3, 'tea')"),
    ("-> Order", "{'at': datetime(2026, 1, 2, 3, 4, 5, 678), 'cups': [Cup(Kind.GREEN)]}"),
    ("-> Kind", "Kind.BLACK"),
    ("-> Size", "Size.SMALL"),
    ("-> Path", "Path('a/b')"),
    ("-> PurePosixPath", "PurePosixPath('a/b')"),
    ("-> datetime", "datetime(2026, 1, 2, tzinfo=timezone.utc)"),
    ("-> date", "date(2026, 1, 2)"),
    ("-> time", "time(1, 2, 3)"),
    ("-> timedelta", "timedelta(days=1, microseconds=5)"),
    ("-> uuid.UUID", "uuid.UUID(int=7)"),
    ("-> Decimal", "Decimal('1.10')"),
    ("-> bytes", "b'\\x00\\xff'"),
    ("-> set[int]", "{3, 1, 2}"),
    ("-> frozenset[str]", "frozenset({'a'})"),
    ("-> set[tuple[int, str]]", "{(1, 'a'), (23, 'b')}"),
    ("-> tuple[int, str]", "(1, 'a')"),
    ("-> list[Path]", "[Path('a'), Path('b')]"),
    ("-> dict[int, str]", "{1: 'a', 10: 'b'}"),
    ("-> dict[Kind, int]", "{Kind.GREEN: 1}"),
    ("-> Optional[Cup]", "None"),
    ("-> Cup | None", "Cup(Kind.GREEN)"),
    ("-> int | str", "'12'"),
    ("-> Literal['a', 'b']", "'a'"),
    ("-> 'Cup'", "Cup(Kind.GREEN)"),
    ("-> Any", "[1, 'x']"),
    ("-> object", "[1, 'x']"),
    ("-> dict", "{'a': 1}"),
    ("-> list", "[1, 2]"),
    ("-> None", "None"),
]


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        *(pytest.param(*pair, id=" ".join(pair).strip()) for pair in KEPT),
        pytest.param("-> Mixed", "Mixed.BLACK", id="enum of text and number"),
        pytest.param("-> Odd", "Odd.PAIR", id="enum of anything"),
        pytest.param("-> list[Mixed | None]", "[Mixed.GREEN, None]", id="nested enum"),
        pytest.param("-> tuple[Odd, ...]", "tuple(Odd)", id="members that look alike"),
        pytest.param(
            "-> dict[str, Tray]",
            "{'a': Tray(Mixed.BLACK, [Slot(Odd.ONE, Path('x'))], Bowl(Mixed.GREEN), {'at': Odd.TRUE})}",
            id="enums in fields",
        ),
    ],
)
def test_outcome_is_received_as_it_was_returned(
    project: Project, annotation: str, value: str
) -> None:
    """A consumer receives an equal value of the same type, on a first run as on a cached one."""
    project.stations(
        f"""
{TYPES}
@station
def boil(){annotation}:
    log("boil")
    return {value}

def test_it(boil):
    expected = {value}
    assert boil == expected
    assert repr(boil) == repr(expected) or isinstance(boil, (set, frozenset))
    assert type(boil) is type(expected)
""",
        name="test_tea.py",
    )

    runs = [project.run("--cc-run"), project.run("--cc-run"), project.run()]

    assert [run.tests for run in runs] == [{"test_it": "passed"}] * 3
    assert (runs[0].visited, runs[1].unchanged) == (("boil",), ("boil",))
    assert project.log() == ("boil",)


REFUSED = [
    ("", "Unknown()", "Unknown", "Unknown is not a supported type"),
    ("", "Cup(Kind.GREEN)", "Cup", "Cup needs a return annotation"),
    ("", "(1, 2)", "tuple", "tuple needs a return annotation"),
    ("", "{1: 'a'}", "dict", "dict keys must be strings, got 1"),
    ("", "[float('nan')]", "list", "nan cannot be represented in JSON"),
    ("-> float", "float('inf')", "float", "inf cannot be represented in JSON"),
    ("-> int", "'12'", "str", "Expected `int`, got `str`"),
    (
        "-> list[Path]",
        "[1]",
        "list",
        "expected str, bytes or os.PathLike object, not int - at `$[0]`",
    ),
    ("-> None", "1", "int", "Expected `null`, got `int`"),
    ("-> tuple[int, int]", "[1, 2]", "list", "it does not survive a JSON round trip"),
]


@pytest.mark.parametrize(
    ("annotation", "value", "kind", "cause"),
    [pytest.param(*row, id=f"{row[0]} {row[1]}".strip()) for row in REFUSED],
)
def test_unstorable_outcome_fails_its_station(
    project: Project, annotation: str, value: str, kind: str, cause: str
) -> None:
    """An outcome that cannot be stored exactly fails the first visit, with station and type."""
    project.stations(
        f"from __future__ import annotations\n{TYPES}\n"
        f"@station\ndef boil(){annotation}:\n    return {value}\n\n"
        "@station\ndef pour(boil): ...\n"
    )
    # A future import must come first.
    text = (
        (project.path / "stations.py")
        .read_text()
        .replace("from __future__ import annotations\n", "")
    )
    project.write("stations.py", "from __future__ import annotations\n" + text)

    run = project.run("--cc-run")

    sentence = (
        f"the outcome of station 'boil' cannot be stored ({kind}): {cause}; "
        "return plain data, or declare its type in the return annotation"
    )
    assert (run.causes, run.errors["boil"]) == ({"boil": sentence}, sentence)
    assert (run.failed, run.blocked) == (("boil",), ("pour",))


def test_outcome_that_contains_itself_is_rejected(project: Project) -> None:
    """An outcome that contains itself fails its station with a message, not with a crash."""
    project.stations("@station\ndef boil():\n    one = []\n    one.append(one)\n    return one\n")

    run = project.run("--cc-run")

    assert run.failed == ("boil",)
    assert "it contains itself, or is nested too deeply" in run.causes["boil"]


def test_rejected_outcome_is_tried_again(project: Project) -> None:
    """A station whose outcome was rejected is visited again once it is fixed."""
    project.stations("@station\ndef boil() -> int:\n    return '12'\n")
    project.run("--cc-run")
    project.edit("stations.py", "'12'", "12")

    run = project.run("--cc-run")

    assert run.visited == ("boil",)


def test_downstream_receives_the_decoded_outcome_on_the_first_run(
    project: Project, mode: str
) -> None:
    """A consumer never receives the object that the visit returned, even on a first run."""
    project.stations(
        """
        class Shy(str):
            pass

        @station
        def boil() -> str:
            return Shy("tea")

        @station
        def pour(boil):
            log(type(boil).__name__)
        """
    )
    project.run("--cc-run")
    project.run("--cc-replay", "pour")

    assert project.log() in {("str", "str"), ()}


def test_every_consumer_has_its_own_copy(project: Project) -> None:
    """A consumer that alters what it received alters nothing for others."""
    project.stations(
        """
        @station
        def boil():
            return {"cups": []}

        @boil.check
        def is_hot(boil):
            assert boil == {"cups": []}
            boil["cups"].append("check")

        @station
        def pour(boil):
            boil["cups"].append("pour")

        @station
        def serve(boil):
            log(boil)
            boil["cups"].append("serve")
        """
    )
    project.write(
        "test_it.py",
        """
        def test_one(boil): boil["cups"].append("one")
        def test_two(boil): assert boil == {"cups": []}
        """,
    )

    run = project.run("--cc-run")

    assert (run.log, run.exit_code) == (("{'cups': []}",), 0)
    assert run.tests == {"test_one": "passed", "test_two": "passed"}


@pytest.mark.parametrize("scope", ["function", "module", "session"])
def test_every_fixture_has_its_own_copy(project: Project, scope: str) -> None:
    """Two fixtures that receive one outcome do not share it, nor with a test."""
    project.stations("@station\ndef boil():\n    return []\n")
    project.write(
        "test_it.py",
        f"""
        import pytest

        @pytest.fixture(scope="{scope}")
        def one(boil):
            boil.append("one")
            return boil

        @pytest.fixture(scope="{scope}")
        def two(boil):
            boil.append("two")
            return boil

        def test_it(one, two, boil, request):
            assert (one, two, boil) == (["one"], ["two"], [])

        def test_again(two, boil):
            boil.append("again")
            assert two == ["two"]

        def test_dynamic(request):
            assert request.getfixturevalue("boil") == []
        """,
    )

    run = project.run("--cc-run")

    assert set(run.tests.values()) == {"passed"}, run.text


def test_two_getfixturevalues_have_their_own_copies(project: Project) -> None:
    """An outcome that one test altered after `getfixturevalue` is intact for the next test."""
    project.stations("@station\ndef boil():\n    return []\n")
    project.write(
        "test_it.py",
        """
        def test_one(request): request.getfixturevalue("boil").append("one")
        def test_two(request): assert request.getfixturevalue("boil") == []
        """,
    )

    run = project.run("--cc-run")

    assert run.tests == {"test_one": "passed", "test_two": "passed"}


def test_outcome_of_a_visit_in_this_run_reaches_session_fixtures(project: Project) -> None:
    """A session fixture that was built on an outcome is set up again after a visit changed it."""
    project.stations(
        """
        @station
        def boil():
            return 1

        @pytest.fixture(scope="session")
        def cup(boil):
            return boil

        @station
        def pour(cup):
            log(cup)
        """
    )
    project.run("--cc-run")
    project.edit("stations.py", "return 1", "return 2")

    run = project.run("--cc-run")

    assert (run.visited, run.log) == (("boil", "pour"), ("2",))


def test_changed_annotation_is_reported(project: Project) -> None:
    """A recorded outcome that does not fit its annotation any more is reported, with the way out."""
    project.stations("@station(version='1')\ndef boil() -> str:\n    return 'x'\n")
    project.write("test_it.py", "def test_it(boil): ...")
    project.run("--cc-run")
    project.edit("stations.py", "-> str", "-> int")

    run = project.run()

    assert run.errors["test_it"] == (
        "the recorded outcome of station 'boil' does not fit its annotation any more: "
        "Expected `int`, got `str`; 'pytest --cc-run' visits it again"
    )
    assert run.exit_code == 1


@pytest.mark.parametrize("declared", ["version='1'", ""])
def test_outcome_that_does_not_fit_its_annotation_any_more_is_due(
    project: Project, mode: str, declared: str
) -> None:
    """Neither a version nor a passing check makes up for an outcome of another type."""
    project.stations(
        f"""
        @station({declared})
        def boil() -> int:
            return 1

        @boil.check
        def is_hot(): ...

        @station
        def pour(boil):
            log(f"pour {{boil!r}}")
        """
    )
    project.run("--cc-run")
    project.edit("stations.py", "-> int", "-> str")
    project.edit("stations.py", "return 1", "return 'hot'")

    run = project.run("--cc-run")

    misfit = "its recorded outcome does not fit its annotation any more: Expected `str`, got `int`"
    assert run.reasons["boil"][-1] == misfit
    assert run.visited == ("boil", "pour")
    assert run.log == ("pour 'hot'",)
    assert project.run("--cc-check").exit_code == 0


def test_outcome_that_a_class_rejects_is_due(project: Project) -> None:
    """Any exception of a user's class on an old outcome is the reason for a visit."""
    project.stations(
        """
        from dataclasses import dataclass

        @dataclass
        class Water:
            degrees: int

            def __post_init__(self):
                if LIMIT < self.degrees:
                    raise KeyError("too hot")

        LIMIT = 100

        @station(version="1")
        def boil() -> Water:
            return Water(min(LIMIT, 90))
        """
    )
    project.run("--cc-run")
    project.edit("stations.py", "LIMIT = 100", "LIMIT = 80")

    run = project.run("--cc-run")

    assert run.visited == ("boil",)
    assert run.reasons["boil"] == (
        "its recorded outcome does not fit its annotation any more: KeyError: 'too hot'",
    )


def test_damaged_outcome_is_due(project: Project, mode: str) -> None:
    """An outcome without annotation that is not JSON heals by a visit; until then, tests fail."""
    project.stations("@station\ndef boil():\n    return [100]\n")
    project.write("test_tea.py", "def test_hot(boil):\n    assert boil == [100]\n")
    project.run("--cc-run")
    path = project.path / ".pytest_cache/d/choochoo/default.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as ledger:
        [(key, place, record)] = ledger.execute("select key, place, record from records")
        record = record.replace('"[100]"', '"[10"')
        seal = checksum(key, place, record)
        ledger.execute("update records set record = ?, seal = ?", (record, seal))

    plain, run, after = (project.run(*each) for each in ((), ("--cc-run",), ("--cc-run",)))

    assert (
        "the recorded outcome of station 'boil' cannot be read: Input data was truncated; "
        "'pytest --cc-run' visits it again"
    ) in plain.text
    assert run.reasons == {
        "boil": ("its recorded outcome cannot be read: Input data was truncated",)
    }
    assert (run.tests, after.unchanged) == ({"test_hot": "passed"}, ("boil",))


def test_annotation_may_name_a_type_checking_import(project: Project) -> None:
    """A parameter may be annotated with a name that exists for type checkers only."""
    project.write(
        "stations.py",
        """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        from pytest_choochoo import station

        if TYPE_CHECKING:
            from nowhere import Kettle

        @station
        def boil(tmp_path: Kettle) -> list[int]:
            return [100]
        """,
    )

    run = project.run("--cc-run")

    assert run.visited == ("boil",)


def test_plain_pytest_hands_out_the_record(project: Project) -> None:
    """Plain pytest gives a test the recorded outcome, and visits nothing."""
    project.stations("@station\ndef boil():\n    log('boil')\n    return 100\n")
    project.write("test_it.py", "def test_it(boil): assert boil == 100")
    project.run("--cc-run")

    run = project.run("-W", "error")

    assert (run.exit_code, run.tests, run.log) == (0, {"test_it": "passed"}, ())


def test_plain_pytest_names_the_way_out_without_a_record(project: Project) -> None:
    """In plain pytest, a test whose station has no complete record fails with the station, the reason and the remedy."""
    project.stations("@station\ndef boil():\n    return 100\n")
    project.write("test_it.py", "def test_it(boil): ...")

    run = project.run()

    assert (
        "station 'boil' has no complete record: never visited; run 'pytest --cc-run' first"
        in run.text
    )
    assert (run.exit_code, run.log) == (1, ())


def test_plain_pytest_warns_of_a_record_that_is_due(project: Project) -> None:
    """Plain pytest uses the record of a due station, with a warning that names station and reason."""
    project.stations("@station\ndef boil():\n    return 100\n")
    project.write("test_it.py", "def test_it(boil): assert boil == 100")
    project.run("--cc-run")
    project.edit("stations.py", "100", "90")

    run = project.run()

    assert run.tests == {"test_it": "passed"}
    assert (
        "station 'boil' is due: code of stations.py::boil changed; its recorded outcome is used"
        in run.text
    )


def test_version_stands_for_the_code_in_an_outcome(project: Project) -> None:
    """A station with a `version` whose code changed keeps its outcome."""
    project.stations("@station(version='1')\ndef boil():\n    return 100\n")
    project.write("test_it.py", "def test_it(boil): assert boil == 100")
    project.run("--cc-run")
    project.edit("stations.py", "100", "90")

    run = project.run("--cc-run")

    assert (run.unchanged, run.tests) == (("boil",), {"test_it": "passed"})


# --- what counts as another outcome


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        ("Path", 'Path("2026-01-02")'),
        ("date", "date(2026, 1, 2)"),
        ("Text", "Text.DAY"),
        ("PurePath", 'PurePath("2026-01-02")'),
    ],
)
def test_other_type_upstream_visits_downstream(
    project: Project, annotation: str, value: str
) -> None:
    """A value of another type is another outcome, though its JSON is the same."""
    project.stations(
        """
        from datetime import date
        from enum import Enum
        from pathlib import Path, PurePath

        class Text(Enum):
            DAY = "2026-01-02"

        @station
        def make() -> str:
            return "2026-01-02"

        @station
        def use(make) -> str:
            return repr(make)
        """
    )
    project.run("--cc-run")
    project.edit(
        "stations.py", 'str:\n    return "2026-01-02"', f"{annotation}:\n    return {value}"
    )

    run = project.run("--cc-run")

    assert run.visited == ("make", "use")
    assert run.reasons["use"] == ("outcome of make changed",)
    assert project.run("--cc-run").unchanged == ("make", "use")


def test_same_outcome_made_into_something_else_visits_downstream(
    project: Project, mode: str
) -> None:
    """A class that makes something else of what is recorded changes what downstream receives."""
    project.stations(
        """
        from dataclasses import dataclass

        @dataclass
        class Server:
            host: str
            url: str = ""
            def __post_init__(self):
                self.url = f"http://{self.host}"

        @station
        def rent() -> Server:
            return Server("h")

        @rent.check
        def there(): ...

        @station
        def configure(rent) -> str:
            return rent.url
        """
    )
    project.run("--cc-run")
    project.edit("stations.py", "http:", "https:")
    plain = project.run("--cc-check")

    run = project.run("--cc-run")

    assert plain.failed == ("configure",)
    assert run.results == {"rent": "unchanged", "configure": "visited"}
    assert run.reasons["configure"] == ("outcome of rent changed",)
    assert project.run("--cc-run").unchanged == ("rent", "configure")
