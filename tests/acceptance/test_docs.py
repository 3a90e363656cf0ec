"""The documentation, executed: its files are written, its commands run, its output compared.

A page is a story: its blocks follow each other in one project, or in the project that
`<!-- project: name -->` above a block names. Each project has an empty `pytest.ini`.

* `python`, `ini` and `toml` blocks are files; a comment in the first line gives the name.
* `console` blocks are commands with their output. A line `...` stands for any lines, and
  times, versions and paths may differ. With `<!-- meanwhile: node id -->` above, another
  process is visiting that station. With `<!-- output: on a terminal -->` somewhere above, the
  commands run on a terminal, else with `--cc-progress=off`.
* `xml` blocks show lines of the file that the first line names.
* `bash` blocks are commands for the reader; the names in them must exist.
* `yaml` blocks are jobs of CI services: they parse, have the keys that the service demands, and
  their pytest commands have options that exist.
* `text` blocks are drawings.
"""

from __future__ import annotations

import ast
import itertools
import json
import linecache
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Iterator, Sequence
from configparser import ConfigParser
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from emulator import Emulator

import pytest_choochoo
from pytest_choochoo import hookspecs
from pytest_choochoo.engine.ledger.record import Word

# Imported once and for all: pytester unloads the modules that a run imports, the plugin's included.
for _room in pkgutil.walk_packages(pytest_choochoo.__path__, "pytest_choochoo."):
    import_module(_room.name)

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "pytest_choochoo"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FILES, RUN, NOT_RUN = {"python", "ini", "toml"}, {"console", "xml"}, {"bash", "text", "yaml"}
DIRECTIVE = re.compile(r"<!-- (project|meanwhile|output): (.+) -->")

#: Parts that differ from run to run, and their replacements on both sides of a comparison.
DIFFERS = [
    (r"(platform \S+) -- .*", r"\1"),
    (r"^(rootdir|cachedir|plugins|created): .*", r"\1"),
    (r", [\d.]+ (s|min|h)( \d+ min)? spared", ""),
    # Known where the visits took a noticeable time.
    (r"[;,] (about|up to) [\d.]+ s( with what may be visited)?$", ""),
    (r"\b\d+(\.\d+)? ?(s|min|h)\b( \d+ min)?", "T"),
    (r"process \d+ on \S+ \(since [\d:]+\)", "process P"),
    (r"process \d+ on \S+", "process P"),
    (r"([=_]{3,})( .* )?([=_]{3,})$", r"===\2==="),
    (r"[ \t]+(\[ *\d+%\])$", r" \1"),
    (r"0x[0-9a-f]+", "0x"),
    (r"(/[\w.-]+)+/(?=[\w-]+\.(py|sqlite|txt|xml))", "/"),
    (r"[ \t]+$", ""),
]
#: Holds the lock of a station like a process that is visiting it, until its input ends.
HOLDER = """
import json, os, socket, sys, time
from pathlib import Path
from pytest_choochoo.engine.ledger.opening import open_ledger
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.ledger.record import Record

ledger = open_ledger(LedgerLocation(Path(sys.argv[1]), "default"), warn=print)
lock = ledger.lock(sys.argv[2], 0)
now, host = time.time(), socket.gethostname()
ledger.begin(
    sys.argv[2],
    Record(status="visiting", since=now, began=now, pid=os.getpid(), host=host),
    ("first visit",),
)
print("held", flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block: its position, language and text, and the directives that apply to it."""

    page: str
    line: int
    language: str
    text: str
    project: str
    meanwhile: str
    is_on_terminal: bool

    @property
    def file_name(self) -> str:
        """The name of the file that the block is, or shows lines of."""
        found = re.match(r"(?:# |<!-- )(\S+\.\w+)(?: -->)?\n", self.text)
        assert found, f"{self.page}:{self.line}: its first line names no file"
        return found[1]

    def commands(self) -> Iterator[tuple[str, str]]:
        """Yield each command with the output that the page shows for it."""
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


def _blocks(page: Path) -> list[Block]:
    blocks: list[Block] = []
    project, meanwhile, output, fence = page.stem, "", "", ""
    begin, lines = 0, page.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if fence and line == "```":
            text = "\n".join((*lines[begin:number], ""))
            name = str(page.relative_to(ROOT))
            blocks.append(
                Block(
                    page=name,
                    line=begin,
                    language=fence,
                    text=text,
                    project=project,
                    meanwhile=meanwhile,
                    is_on_terminal=output == "on a terminal",
                )
            )
            fence = meanwhile = ""
        elif not fence and line.startswith("```"):
            fence, begin = line.removeprefix("```") or "nothing", number + 1
        elif not fence and (found := DIRECTIVE.fullmatch(line)):
            match found.groups():
                case "project", name:
                    project = name
                case "meanwhile", key:
                    meanwhile = key
                case _, where:
                    output = where
    assert not fence, f"{page.name}:{begin}: a block does not end"
    return blocks


BLOCKS = [block for page in PAGES for block in _blocks(page)]


def _projects() -> dict[str, list[Block]]:
    found: dict[str, list[Block]] = {}
    for block in BLOCKS:
        if block.language in FILES | RUN:
            found.setdefault(f"{block.page}, {block.project}", []).append(block)
    return found


def _normal(text: str) -> str:
    for pattern, instead in DIFFERS:
        text = re.sub(pattern, instead, text, flags=re.MULTILINE)
    return text.strip()


def _elided(was: str, shown: str) -> str:
    """Return *shown* where `...` in it may stand for the rest of *was*, else *was*."""
    parts = (re.escape(part) for part in re.split(r"^\.\.\.$\n?", f"{shown}\n", flags=re.MULTILINE))
    return shown if re.fullmatch(r"(?:.*\n)*".join(parts), f"{was}\n") else was


class Reader:
    """A reader who follows a page to the letter, in a new folder."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self._pytester = pytester
        self._monkeypatch = monkeypatch
        monkeypatch.delenv("CC_PROFILE", raising=False)
        monkeypatch.setenv("COLUMNS", "80")
        # As after `pip install pytest-choochoo`, without other installed plugins.
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        monkeypatch.setenv("PYTEST_ADDOPTS", "-p choochoo -p xdist")
        # Otherwise an edit within a second that keeps the size would be hidden by a stale .pyc.
        monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        (pytester.path / "pytest.ini").touch()

    @property
    def folder(self) -> Path:
        return self._pytester.path

    def follow(self, block: Block) -> None:
        """Do what *block* says; the output that it shows must be the output that appears."""
        path = self._pytester.path
        if block.language in FILES:
            file = path / block.file_name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        elif block.language == "xml":
            there = _normal((path / block.file_name).read_text(encoding="utf-8"))
            lines = [_normal(line) for line in block.text.splitlines()[1:]]
            assert [line for line in lines if line not in there] == [], there
        else:
            with self._meanwhile(block.meanwhile):
                for command, output in block.commands():
                    was = _normal(self.run(command, on_terminal=block.is_on_terminal))
                    shown = _normal(output)
                    assert _elided(was, shown) == shown, f"{block.page}:{block.line}: $ {command}"

    def run(self, command: str, *, on_terminal: bool = False) -> str:
        """Return the output of *command*."""
        pytests = re.fullmatch(r"(?:cd (\S+) && )?((?:[A-Z_]+=\S+ )*)pytest\b(.*)", command)
        if pytests is None:
            done = subprocess.run(
                ["/bin/sh", "-c", command],
                cwd=self._pytester.path,
                capture_output=True,
                text=True,
                check=False,
            )
            return done.stdout + done.stderr
        arguments = shlex.split(pytests[3])
        linecache.clearcache()  # a run in this process may have shown another file of that name
        with self._monkeypatch.context() as context, warnings.catch_warnings():
            warnings.resetwarnings()  # warnings are errors here, but not for the reader
            context.chdir(self._pytester.path / (pytests[1] or "."))
            for assignment in pytests[2].split():
                context.setenv(*assignment.split("=", 1))
            if on_terminal:
                return _on_terminal(Path.cwd(), arguments)
            arguments.insert(0, "--cc-progress=off")
            # xdist starts its workers with the command line of this process.
            if "-n" in arguments:
                seen = self._pytester.run(sys.executable, "-m", "pytest", *arguments)
            else:
                seen = self._pytester.runpytest_inprocess(*arguments)
        return "\n".join((*seen.outlines, *seen.errlines))

    @contextmanager
    def _meanwhile(self, key: str) -> Iterator[None]:
        if not key:
            yield
            return
        folder = self._pytester.path / ".pytest_cache/d/choochoo"
        command = [sys.executable, "-c", HOLDER, str(folder), key]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdout and other.stdout.readline() == "held\n"
            yield
            other.communicate()


def _on_terminal(folder: Path, arguments: Sequence[str]) -> str:
    """Return what a terminal shows after a pytest command."""
    names = "PYTEST_DISABLE_PLUGIN_AUTOLOAD", "PYTEST_ADDOPTS", "PYTHONDONTWRITEBYTECODE"
    environment = {name: os.environ[name] for name in names}
    run = Emulator(folder, *arguments, columns=80, rows=200, **environment)
    try:
        run.until_over()
        return "\n".join(run.all_lines)
    finally:
        run.close()


@pytest.fixture
def reader(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Reader:
    return Reader(pytester, monkeypatch)


@pytest.mark.parametrize("story", _projects().values(), ids=_projects())
def test_page_shows_what_happens(story: list[Block], reader: Reader) -> None:
    """A reader who follows a page sees the output that the page shows."""
    for block in story:
        reader.follow(block)


#: Recipes of which something is there before their first run, so that a check passes.
MADE_BEFORE = {"docs/limitations.md, between", "docs/writing-stations.md, adopted"}
#: The page on audits shows faults.
RECIPES = {
    name: story
    for name, story in _projects().items()
    if name not in {*MADE_BEFORE, "docs/proving.md, proving"}
    and any("pytest_choochoo import" in block.text for block in story)
}


@pytest.mark.parametrize("story", RECIPES.values(), ids=RECIPES)
def test_recipe_passes_its_audit(story: list[Block], reader: Reader) -> None:
    """An audit finds no fault in the stations of a page, though visits may fail to show how."""
    commands = (block.commands() for block in story if block.language == "console")
    for block in story:
        if block.language in FILES and not (reader.folder / block.file_name).exists():
            reader.follow(block)
    for command, _ in itertools.chain.from_iterable(commands):
        if re.search(r"(^|&& )([A-Z_]+=\S+ )*pytest ", command):
            break
        reader.run(command)

    reader.run("pytest --cc-audit=deep -q --cc-json=audit.json")

    found = json.loads((reader.folder / "audit.json").read_text(encoding="utf-8"))
    assert {
        each["name"]: each["findings"] for each in found["stations"] if "findings" in each
    } == {}


def test_every_block_is_of_a_verified_kind() -> None:
    """Every block of a page has a language that is run or checked."""
    others = [
        f"{block.page}:{block.line}: {block.language}"
        for block in BLOCKS
        if block.language not in FILES | RUN | NOT_RUN
    ]

    assert others == []


def test_set_up_commands_are_real() -> None:
    """The commands for the reader name environments of tox and options that exist."""
    tox = ConfigParser()
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    environments = {name.removeprefix("testenv:") for name in tox.sections()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = "".join(block.text for block in BLOCKS if block.language == "bash")

    named = set(re.findall(r"tox run -e (\S+)", text))
    installed = set(re.findall(r"pip install (?!tox\b)(?:-e )?['\"]?([\w-]+)", text))

    assert named == {"example", "faults", "peers", "pictures"} and named <= environments
    assert installed == {project["name"]}


def _scripts(job: dict[str, Any]) -> list[str]:
    """Return the commands of a job of GitHub Actions or GitLab."""
    if "steps" not in job:
        return list(job["script"])
    assert job["runs-on"]
    assert all(("uses" in step) != ("run" in step) for step in job["steps"])
    return [step["run"] for step in job["steps"] if "run" in step]


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, id=f"{block.page}:{block.line}")
        for block in BLOCKS
        if block.language == "yaml"
    ],
)
def test_jobs_of_ci_services_are_valid(block: Block, reader: Reader) -> None:
    """A file for a CI service is YAML, its jobs have commands, and these have real options."""
    given = yaml.safe_load(block.text)
    # YAML takes the key `on` for a boolean.
    jobs = given["jobs"] if True in given else given
    options = set(re.findall(r"--cc-[\w-]+", reader.run("pytest --help")))

    commands = [each for job in jobs.values() for each in _scripts(job)]

    pytests = [command for command in commands if command.startswith("pytest ")]
    assert pytests
    for command in pytests:
        assert set(re.findall(r"--cc-[\w-]+", command)) <= options


def _slug(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """A link inside the documentation names a file that is there, and a heading in it."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    broken = []
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", prose):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        text = file.read_text("utf-8") if anchor and file.is_file() else ""
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        if not file.exists() or (anchor and anchor not in map(_slug, headings)):
            broken.append(target)

    assert broken == []


def _table_of(page: str, heading: str) -> dict[str, str]:
    """Return the first two columns of the table below *heading*, code marks left out."""
    _, _, rest = (ROOT / page).read_text("utf-8").partition(f"# {heading}\n")
    rows = re.findall(r"^\| (.+?) \| (.+?) \|", rest.partition("\n#")[0], re.MULTILINE)[2:]
    return {name.replace("`", "").replace("\\|", "|"): text for name, text in rows}


def test_options_page_is_complete(reader: Reader) -> None:
    """The page on options names every option and every ini setting, and no others."""
    shown = reader.run("pytest --help")
    options = set(re.findall(r"^  (--cc-[\w-]+)", shown, re.MULTILINE))
    settings = set(re.findall(r"^  (cc_\w+)", shown, re.MULTILINE))

    documented = set(_table_of("docs/options.md", "On the command line"))
    in_files = set(_table_of("docs/options.md", "In a configuration file"))

    assert {re.split(r"[ =\[]", name)[0] for name in documented} == options
    assert {name.partition(" ")[0] for name in in_files} == settings


def test_pages_name_options_that_exist(reader: Reader) -> None:
    """Every option that a page mentions exists, except in the section on plans."""
    shown = reader.run("pytest --help")
    options = set(re.findall(r"--cc-[\w-]+", shown))
    unknown = {}
    for page in PAGES:
        text = re.sub(
            r"^## Planned$.*?(?=^## |\Z)",
            "",
            page.read_text("utf-8"),
            flags=re.MULTILINE | re.DOTALL,
        )
        unknown[page.name] = set(re.findall(r"--cc-[a-z]+(?:-[a-z]+)*", text)) - options

    assert {name: found for name, found in unknown.items() if found} == {}


def test_design_page_lists_the_modules() -> None:
    """The rooms on the design page are the modules, each with the first line of its docstring."""
    rooms = {}
    for module in sorted(PACKAGE.rglob("*.py")):
        says = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
        rooms[str(module.relative_to(PACKAGE))] = says.splitlines()[0]

    assert _table_of("docs/design.md", "The rooms") == rooms


def test_design_page_gives_a_reason_for_each_dependency() -> None:
    """The design page lists the dependencies of the package, and nothing else."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {re.split(r"[>=<\[; ]", need)[0] for need in project["dependencies"]}

    assert set(_table_of("docs/design.md", "What it is built on")) == needed


def test_glossary_has_every_result() -> None:
    """The glossary explains each word for the result of a station."""
    results = _table_of("docs/glossary.md", "How a station ends")

    assert set(results) == set(get_args(Word))


def test_hooks_page_is_complete() -> None:
    """The page on hooks names every hook that others may implement."""
    hooks = {name for name in vars(hookspecs) if name.startswith("pytest_choochoo_")}

    assert set(_table_of("docs/hooks.md", "The hooks")) == hooks
