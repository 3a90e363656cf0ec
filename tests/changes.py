"""Changes to a project, and whether a station without a check is visited again for each.

`tests/acceptance/test_changes.py` tries them all; `python tests/changes.py` writes
them into the tables of `docs/what-counts-as-a-change.md`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "what-counts-as-a-change.md"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change: *what* it is, the station that it is about, and the edit.

    *station*: the text of a station file, in which the station is `go`. *file*, *old* and
    *new*: what is edited; a *file* that does not exist is made. *remedy*: what to do where
    the change goes unnoticed.
    """

    what: str
    station: str
    file: str = "stations.py"
    old: str = ""
    new: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    remedy: str = ""


STATION = "@station\ndef go() -> int: return "

INPUTS = (
    Change(
        what="the content of a file in `files`",
        station='@station(files=["in.txt"])\ndef go(): ...',
        files={"in.txt": "1"},
        file="in.txt",
        old="1",
        new="2",
    ),
    Change(
        what="a file that a glob in `files` newly finds, or no longer finds",
        station='@station(files=["*.csv"])\ndef go(): ...',
        file="new.csv",
        new="1",
    ),
    Change(
        what="a variable in `env`: set, not set, or set to something else",
        station='@station(env=["STAGE_OF_THE_TEST"])\ndef go(): ...',
        file="$STAGE_OF_THE_TEST",
        new="prod",
    ),
    Change(
        what="the value of a fixture in `values`, which is set up for this in every run",
        station="""
@pytest.fixture
def region(): return (Path(__file__).parent / "region.txt").read_text()
@station(values=["region"])
def go(region): ...
""",
        files={"region.txt": "eu"},
        file="region.txt",
        old="eu",
        new="us",
    ),
    Change(
        what="a file or folder in `products`: missing or changed; a link by its target",
        station="""
@station(products=["out.txt"])
def go(): (Path(__file__).parent / "out.txt").write_text("1")
""",
        file="out.txt",
        old="1",
        new="2",
    ),
    Change(
        what="what is received of a station upstream, by content and type",
        station="""
@station
def first() -> Path: return Path("a")
@station
def go(first): ...
""",
        old='Path: return Path("a")',
        new='str: return "a"',
    ),
    Change(
        what="a product of a station upstream",
        station="""
@station(products=["out.txt"])
def first() -> None: (Path(__file__).parent / "out.txt").write_text("1")
@station
def go(first): ...
""",
        old='"1"',
        new='"2"',
    ),
    Change(
        what="a visit of a station upstream that `renews`",
        station="""
@station(renews=True, version="1")
def first() -> None: ...
@station
def go(first): ...
""",
        old='"1"',
        new='"2"',
    ),
)

CODE = (
    Change(what="the body of the station", station=STATION + "1", old="1", new="2"),
    Change(
        what="a function, class or constant that it names, in any file, and what that names",
        station=f"import named_helper\n{STATION}named_helper.boil()",
        files={"named_helper.py": "DEGREES = 100\ndef boil(): return DEGREES\n"},
        file="named_helper.py",
        old="100",
        new="95",
    ),
    Change(
        what="a method of a class that it names, or of one of its base classes",
        station=f"""
class Base:
    def boil(self): return 1
class Kettle(Base): ...
{STATION}Kettle().boil()
""",
        old="self): return 1",
        new="self): return 2",
    ),
    Change(
        what="an ordinary fixture that it requests",
        station="""
@pytest.fixture
def water(): return 1
@station
def go(water) -> int: return water
""",
        old="return 1",
        new="return 2",
    ),
    Change(
        what="a decorator of its own",
        station="""
def twice(function): return lambda: function() * 2
@station
@twice
def go() -> int: return 1
""",
        old="* 2",
        new="* 3",
    ),
    Change(
        what="a table that its file fills by a decorator or a call",
        station=f"""
STEPS = {{}}
def step(function): STEPS["wash"] = function
@step
def wash(): return 1
{STATION}len(STEPS)
""",
        old="return 1",
        new="return 2",
    ),
    Change(
        what="plain values that it got from the function that made it",
        station="""
def made(size):
    def go() -> int: return size
    return go
go = station(made(1))
""",
        old="made(1)",
        new="made(2)",
    ),
    Change(
        what="code that its last visit called although it names it nowhere: by `importlib`, "
        "`getattr`, `eval`, `request.getfixturevalue`, an entry point, a method of what it received",
        station=f'import importlib\n{STATION}importlib.import_module("found_helper").boil()',
        files={"found_helper.py": "def boil(): return 100\n"},
        file="found_helper.py",
        old="100",
        new="95",
    ),
    Change(
        what="`version`, which stands for the code",
        station='@station(version="1")\ndef go(): ...',
        old='"1"',
        new='"2"',
    ),
)

NOTHING = (
    Change(what="comments", station=STATION + "1", old="return 1", new="return 1  # at last"),
    Change(
        what="docstrings",
        station='@station\ndef go():\n    """Go."""',
        old="Go.",
        new="Walk.",
    ),
    Change(what="formatting", station=STATION + "1", old="return 1", new="\n    return (1)"),
    Change(
        what="marks, wherever they are kept",
        station="FEW = pytest.mark.filterwarnings('ignore')\n@FEW\n" + STATION + "1",
        old="ignore",
        new="default",
    ),
    Change(
        what="the title, and other arguments of `@station` that are no inputs",
        station='@station(title="Go")\ndef go(): ...',
        old='"Go"',
        new='"Walk"',
    ),
    Change(
        what="checks and cleans",
        station=f"{STATION}1\n@go.clean\ndef undo(): print(1)",
        old="print(1)",
        new="print(2)",
    ),
    Change(
        what="a parameter that the body does not use",
        station="@station\ndef first() -> None: ...\n@station\ndef go(first): ...",
        old="first",
        new="earlier",
    ),
    Change(
        what="other functions in the same file",
        station=f"def other(): return 1\n{STATION}7",
        old="return 1",
        new="return 2",
    ),
    Change(
        what="the time stamp of a file in `files`",
        station='@station(files=["in.txt"])\ndef go(): ...',
        files={"in.txt": "1"},
        file="in.txt",
        old="1",
        new="1",
    ),
)

UNSEEN = (
    Change(
        what="code that no name leads to, on a way that no visit has taken yet",
        station=f"""
import importlib, os
{STATION}importlib.import_module("other_way").boil() if os.environ.get("NEVER") else 1
""",
        files={"other_way.py": "def boil(): return 100\n"},
        file="other_way.py",
        old="100",
        new="95",
        remedy="name it in the function, or `version`",
    ),
    Change(
        what="a constant of a third file that such code uses",
        station=f'import importlib\n{STATION}importlib.import_module("third_user").boil()',
        files={
            "third_user.py": "import third_file\ndef boil(): return third_file.DEGREES\n",
            "third_file.py": "DEGREES = 100\n",
        },
        file="third_file.py",
        old="100",
        new="95",
        remedy="name the function in the station, or `version`",
    ),
    Change(
        what="the code of a process that it starts",
        station=f"""
import subprocess, sys
SCRIPT = Path(__file__).with_name("script.py")
{STATION}len(subprocess.check_output([sys.executable, SCRIPT]))
""",
        files={"script.py": "print(1)\n"},
        file="script.py",
        old="1",
        new="2",
        remedy='`files=["script.py"]`',
    ),
    Change(
        what="a file that is read but not declared: a template, SQL, settings",
        station=f'{STATION}len((Path(__file__).parent / "t.sql").read_text())',
        files={"t.sql": "select 1"},
        file="t.sql",
        old="1",
        new="2",
        remedy="`files`",
    ),
    Change(
        what="a variable that is read but not declared, a constant made of it included",
        station=f'import os\nLEVEL = os.environ.get("LEVEL_OF_THE_TEST")\n{STATION}len(LEVEL or "")',
        file="$LEVEL_OF_THE_TEST",
        new="high",
        remedy="`env`",
    ),
    Change(
        what="a constant that other code alters at run time",
        station=f"""
import altered_settings
@pytest.fixture(autouse=True)
def alter(): altered_settings.LIMIT = len((Path(__file__).parent / "l.txt").read_text())
{STATION}altered_settings.LIMIT
""",
        files={"altered_settings.py": "LIMIT = 1\n", "l.txt": "1"},
        file="l.txt",
        old="1",
        new="22",
        remedy="a fixture, and `values`",
    ),
    Change(
        what="an object, other than plain data, that it got from the function that made it",
        station="""
class Pot:
    def __init__(self, size): self.size = size
def made(pot):
    def go() -> int: return pot.size
    return go
go = station(made(Pot(1)))
""",
        old="Pot(1)",
        new="Pot(2)",
        remedy="parametrize the station, or `version`",
    ),
)

TABLES = {
    "inputs": (INPUTS, ("change of an input: the station is due, whatever its checks say",)),
    "code": (CODE, ("change of the code: the station is due, unless its checks pass",)),
    "nothing": (NOTHING, ("no change",)),
    "unseen": (UNSEEN, ("unnoticed change", "remedy")),
}


def table(name: str) -> str:
    """Return the table called *name* as Markdown."""
    changes, titles = TABLES[name]
    rows = [titles, ["---"] * len(titles)]
    rows += [(each.what, each.remedy)[: len(titles)] for each in changes]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def with_tables(page: str) -> str:
    """Return the text of *page* with all tables as they are here."""
    for name in TABLES:
        begin, end = f"<!-- changes: {name} -->\n", "\n<!-- end -->"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}{table(name)}{end}{after}"
    return page


def all_changes() -> Iterable[tuple[str, Change]]:
    """Yield each change with a name for its folder."""
    for name, (changes, _) in TABLES.items():
        yield from ((f"{name}_{number}", change) for number, change in enumerate(changes))


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
