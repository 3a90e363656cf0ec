"""Every option: declared here, read once, and passed on as one frozen value."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import stat
from collections.abc import Callable, Sequence
from contextlib import closing
from fnmatch import fnmatch
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from pytest_choochoo.engine.errors import BadSetting, NoLedger, NothingToUnprotect
from pytest_choochoo.engine.ledger.location import LedgerLocation
from pytest_choochoo.engine.value import Value

if TYPE_CHECKING:
    from pytest_choochoo.engine.events import LocalEvent
    from pytest_choochoo.engine.ledger.protocol import HeldLock, Ledger
    from pytest_choochoo.engine.place import Place

_CONFIGURATION = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml")
_STATION_FILES = ("stations.py", "station_*.py", "*_stations.py")


class Mode(Value):
    """The work of a session on its stations; its command is the file *name* in `commands`.

    *collects*: stations join the collection. *visits*: stations that are due are visited.
    *writes*: records are written. *is_serial*: xdist's workers are not used. *fixed_by*:
    the mode that may fix what went wrong in this one, if it is not the same one again.
    *cleans*: stations are cleaned. *resumed_by*: the mode that goes on where this one ended,
    if it is not the same one again. *part_of*: the mode whose first part this one is.
    *holds*: whether other sessions may work on the profile at the same time.
    *idle*: the line to show where no station was selected.
    """

    name: str = ""
    collects: bool = True
    visits: bool = False
    writes: bool = False
    is_serial: bool = False
    cleans: bool = False
    fixed_by: str = ""
    resumed_by: str = ""
    part_of: str = ""
    holds: Literal["", "together", "alone"] = ""
    idle: str = ""

    @property
    def command(self) -> str:
        """The name of the command that the user gave."""
        return self.part_of or self.name


def _reading(name: str) -> Mode:
    """Return the mode of a command that shows something and runs nothing."""
    return Mode(name=name, is_serial=True, fixed_by="run")


#: The profile of audits, unless the command line names another.
AUDIT_PROFILE = "audit"
_NOTHING_TO_CLEAN = "choochoo: there was nothing to clean"
PLAIN = Mode(collects=False)
_RUN = Mode(name="run", visits=True, writes=True, holds="together")
_CLEAN = Mode(
    name="clean",
    writes=True,
    is_serial=True,
    cleans=True,
    holds="alone",
    idle=_NOTHING_TO_CLEAN,
)
_REDO = Mode(name="redo", visits=True, writes=True, cleans=True, resumed_by="run", holds="alone")
_CLEAN_OF_REDO = Mode(
    name="clean",
    writes=True,
    is_serial=True,
    cleans=True,
    resumed_by="redo",
    part_of="redo",
    holds="alone",
    idle=_NOTHING_TO_CLEAN,
)


class ModeOption(Value):
    """An option that chooses a *mode*.

    *selects*: it takes the stations that are meant. *forms*: what may follow it after a '='.
    """

    mode: Mode
    help: str
    selects: bool = False
    forms: tuple[str, ...] = ()


MODES = {
    "--cc-run": ModeOption(
        mode=_RUN, help="bring all stations to their desired state, and run the tests after them"
    ),
    "--cc-replay": ModeOption(
        mode=_RUN,
        help="run, and visit the selected stations although they are fresh: a comma-separated "
        "list of name, name[param], node id, glob, +x (x and all upstream), "
        "x+ (x and all downstream), last:N, failed, all",
        selects=True,
    ),
    "--cc-check": ModeOption(
        mode=Mode(name="check", fixed_by="run"),
        help="verify only: the checks of all stations run as assertions, nothing is visited",
    ),
    "--cc-clean": ModeOption(
        mode=_CLEAN, help="undo the stations, downstream first, and forget them"
    ),
    "--cc-redo": ModeOption(
        mode=_REDO,
        help="clean the selected stations and all downstream, then run",
        selects=True,
    ),
    "--cc-audit": ModeOption(
        mode=Mode(
            name="audit",
            visits=True,
            writes=True,
            is_serial=True,
            cleans=True,
            holds="alone",
            idle="choochoo: there was nothing to audit",
        ),
        help="prove the stations: visit each twice, clean it, and look for what is wrong, in the "
        "profile `audit`; with =deep, visit each once more after its clean",
        forms=("deep",),
    ),
    "--cc-forget": ModeOption(
        mode=Mode(name="forget", writes=True, is_serial=True, holds="alone"),
        help="forget that the selected stations are complete, and touch nothing else",
        selects=True,
    ),
    "--cc-accept": ModeOption(
        mode=Mode(name="accept", writes=True, is_serial=True, holds="together"),
        help="take the selected stations for complete as things are now: ask their checks, and "
        "record today's inputs; visit nothing",
        selects=True,
    ),
    "--cc-plan": ModeOption(
        mode=_reading("plan"), help="show what a run would do to each station, and why"
    ),
    "--cc-status": ModeOption(
        mode=_reading("status"), help="show what is recorded of each station, and why it is due"
    ),
    "--cc-explain": ModeOption(
        mode=_reading("explain"),
        help="explain the selected stations: every reason back to its cause, attempts, resources",
        selects=True,
    ),
    "--cc-graph": ModeOption(
        mode=_reading("graph"),
        help="show the route as a tree (default), or as mermaid, dot or json",
        forms=("tree", "mermaid", "dot", "json"),
    ),
}


class Process(Value):
    """How this process takes part in the run: alone, or as one of xdist's workers.

    *is_worker*: another process has the terminal and decides what is run. *run*: the name
    under which the workers of one run share results, None if no other process takes part.
    *began*: when the whole run began, in seconds since the epoch. *notify* shows a line to
    the user, from any process. *ledger*: returns the controller's ledger if this
    process does not see it on its own disk, else None. *secrets*: the texts of secrets by
    token, shared by all processes of the run. *place*: where the records of the run are made,
    None if this process decides. *tell* takes the events of visits to the process that has the
    terminal, None if that is this one. *runs_settled*: items that need not be run pass through all
    phases, since a plugin in the controller looks at these. *is_first*: no other process of the run
    says what all of them know.
    """

    began: float
    secrets: dict[str, str]
    is_worker: bool = False
    is_first: bool = True
    run: str | None = None
    notify: Callable[[str], None] | None = None
    ledger: Callable[[LedgerLocation], Ledger | None] = lambda location: None
    place: Place | None = None
    tell: Callable[[LocalEvent], object] | None = None
    runs_settled: bool = False


class Settings(Value):
    """The options and ini settings of a session, read once.

    *replay*, *named*: the stations to replay, and those that the option of the mode is about.
    *unprotect*: the protected stations that a clean may undo.
    *form*: how the route is drawn; `deep` for an audit that visits once more after the clean.
    *folder*: the ledger's folder, None if there is none; *is_in_cache*: it is below pytest's
    cache directory. *options*: the part of a command line that leads to the same records.
    *writes*: records are written. *traces*: the code that visits enter is noted. *root*:
    rootdir. *files*, *test_files*: the glob patterns of station files, and of test files.
    *host*: the name of this machine, if given. *trusts*: a ledger counts although
    others may write it. *progress*: how a run is to be shown while it goes on.
    *is_stepwise*: items before the last one that failed count as passed. *only_sets_up*: fixtures
    are set up, and no item is called. *is_held*: this process holds the profile already.
    *has_properties*: reports have properties for JUnit. *take_over*: is called with the lock on
    the profile at the end of the session, None if it is to be released.
    """

    mode: Mode
    replay: str
    named: str
    unprotect: str
    form: str
    profile: str
    folder: Path | None
    is_in_cache: bool
    lock_timeout: float
    files: tuple[str, ...]
    test_files: tuple[str, ...]
    process: Process
    verbosity: int
    options: str
    writes: bool
    traces: bool
    root: Path
    host: str
    trusts: bool
    progress: str
    is_stepwise: bool
    only_sets_up: bool
    has_properties: bool
    is_held: bool
    take_over: Callable[[HeldLock], object] | None

    def command(self, mode: str) -> str:
        """Return the command line that leads to the same records in *mode*."""
        selectors = f"={shlex.quote(self.named)}" if mode in _ON_SELECTED else ""
        is_its_own = mode != "audit" and self.mode.name == "audit" and self.profile == AUDIT_PROFILE
        profile = f" --cc-profile={AUDIT_PROFILE}" if is_its_own else ""
        return f"pytest --cc-{mode}{selectors}{profile}{self.options}"

    @property
    def profile_for_junit(self) -> str | None:
        """The profile that the properties of reports name, None where reports have none."""
        return self.profile if self.has_properties else None

    @property
    def is_for_tools(self) -> bool:
        """Whether another program reads what is printed."""
        return self.mode.name == "graph" and self.form != "tree"

    def is_station_file(self, path: Path) -> bool:
        """Return whether the file at *path* is a station file.

        Many projects have a `stations.py` of their own, so its text counts as well, unless
        the project itself named it.
        """
        if not self.is_named_like_station_file(path):
            return False
        return self.files != _STATION_FILES or _mentions_us(path)

    def is_named_like_station_file(self, path: Path) -> bool:
        """Return whether the file at *path* is a station file by its name."""
        return any(fnmatch(path.name, pattern) for pattern in self.files)

    def is_test_file(self, path: Path) -> bool:
        """Return whether pytest itself would search the file at *path* for tests."""
        return any(
            path.match(pattern) if "/" in pattern else fnmatch(path.name, pattern)
            for pattern in self.test_files
        )

    def reading(self) -> Settings:
        """Return the settings of a session that writes nothing, but is otherwise like this one."""
        parts = {name: vars(self)[name] for name in Settings.__annotations__}
        return Settings(**parts | {"writes": False})

    @cached_property
    def location(self) -> LedgerLocation:
        """The location of the ledger. Raises `NoLedger`."""
        if self.folder is None:
            raise NoLedger
        return LedgerLocation(
            self.folder,
            self.profile,
            self.place,
            is_given=not self.is_in_cache,
            is_trusted=self.trusts,
        )

    @cached_property
    def place(self) -> Place:
        """The place where this session makes records."""
        from pytest_choochoo.engine.place import place_of  # only sessions with stations need it

        return self.process.place or place_of(self.root, self.host)


def declare(parser: pytest.Parser) -> None:
    """Add the options to pytest's."""
    group = parser.getgroup("choochoo", "choochoo: stations of a workflow")
    _declare_what_to_do(group)
    _declare_where(group)
    parser.addini(
        "cc_mode",
        "what to do where no option says so: run or check",
        type="string",
        default="",
    )
    parser.addini("cc_profile", "the namespace of the records", type="string", default="")
    parser.addini("cc_state", "the folder of the records", type="string", default="")
    parser.addini("cc_trace", "note which code visits enter", type="bool", default=True)
    parser.addini(
        "cc_trust", "use a ledger although others may write it", type="bool", default=False
    )
    parser.addini("cc_host", "the name of this machine in records", type="string", default="")
    parser.addini(
        "cc_junit_properties",
        "give the test cases of JUnit files properties, which xunit2 does not allow",
        type="bool",
        default=True,
    )
    parser.addini("cc_files", "glob patterns of station files", type="args", default=None)


def _declare_what_to_do(group: pytest.OptionGroup) -> None:
    for name, option in MODES.items():
        if option.selects:
            group.addoption(name, action=_ChooseMode, metavar="SEL", help=option.help)
        else:
            # Each form is an option: one that may have a value would swallow the path after it.
            forms = (f"{name}={form}" for form in option.forms)
            group.addoption(
                name, *forms, action=_ChooseMode, nargs=0, default=False, help=option.help
            )


class _ChooseMode(argparse.Action):
    """Chooses a mode, whichever options chose one before: the last one counts."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        namespace.cc_mode = self.option_strings[0]
        given: object
        if self.nargs == 0:
            given = (option_string or "").partition("=")[2] or True
        else:
            given = [*(getattr(namespace, self.dest) or ()), values]
        setattr(namespace, self.dest, given)


def _declare_where(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--cc-unprotect",
        action="append",
        metavar="SEL",
        help="let a clean undo the selected stations although they are declared protect=True",
    )
    group.addoption(
        "--cc-profile",
        metavar="NAME",
        help="the namespace of the records: default, staging, prod, ... (environment: CC_PROFILE)",
    )
    group.addoption(
        "--cc-state",
        metavar="DIR",
        help="keep the records in this folder (default: in pytest's cache directory)",
    )
    group.addoption(
        "--cc-json",
        metavar="FILE",
        help="write what became of each station, or would, to this file, for machines",
    )
    group.addoption(
        "--cc-progress",
        choices=("auto", "live", "lines", "off"),
        default="auto",
        help="how a run is shown while it goes on: a display that is kept up to date, lines when a "
        "visit starts and ends, or pytest's own output only (default auto: live on a terminal, "
        "lines elsewhere, off with -q)",
    )
    group.addoption(
        "--cc-report",
        metavar="FILE",
        help="write a page about the stations to this file, for browsers (extra: `report`)",
    )
    group.addoption(
        "--cc-lock-timeout",
        metavar="SECONDS",
        help="how long to wait for a station that another process is visiting, and for cleans "
        "and runs that exclude each other (default: no limit)",
    )


# Each of these options of pytest turns on stepwise.
_STEPWISE = ("stepwise", "stepwise_skip", "stepwise_reset")
# The modes that may stand in a configuration file: they end what they begin, and undo nothing.
_IN_FILES = ("run", "check")
# The forms of the commands that have several, where none is given.
_DEFAULT_FORMS = {"graph": "tree", "audit": ""}
# The modes whose option names the stations that they are about.
_FORESEEING = frozenset({"plan", "redo"})
# Those of them that a line may name as the next one to type.
_ON_SELECTED = frozenset({"accept", "redo"})
_NAMING = frozenset({"accept", "forget", "explain", "redo"})

PROCESS = pytest.StashKey[Process]()
SETTINGS = pytest.StashKey[Settings]()
#: Whether this process holds the profile before the session begins.
IS_HELD = pytest.StashKey[bool]()
#: Takes over the lock on the profile from a session that cleans for a redo.
TAKE_OVER = pytest.StashKey[Callable[["HeldLock"], object]]()


def read(config: pytest.Config) -> Settings:
    """Return the settings of this session. Raises `ChoochooError` for a wrong setting."""
    mode = _mode(config)
    folder = _folder_asked_for(config)
    has_cache = config.pluginmanager.hasplugin("cacheprovider")
    is_in_cache = folder is None and has_cache
    if is_in_cache:
        folder = cache_folder(config) / "d" / "choochoo"
    elif folder is None and mode.writes:
        raise NoLedger
    return Settings(
        mode=mode,
        # A plan is that of the run with the same options; a redo must know them before it cleans.
        replay=_selectors(config, "replay") if mode.visits or mode.command in _FORESEEING else "",
        named=_selectors(config, mode.command) if mode.command in _NAMING else "",
        unprotect=_unprotected(config, mode),
        form=_form(config, mode),
        profile=_profile(config, mode),
        folder=folder,
        is_in_cache=is_in_cache,
        lock_timeout=_lock_timeout(config),
        files=tuple(config.getini("cc_files") or ()) or _STATION_FILES,
        test_files=tuple(_ini_list(config, "python_files")),
        process=config.stash[PROCESS],
        verbosity=config.get_verbosity(),
        options="".join(
            f" {option}={shlex.quote(given)}"
            for option, name in (("--cc-profile", "cc_profile"), ("--cc-state", "cc_state"))
            if (given := config.getoption(name))
        ),
        writes=mode.writes and not config.option.collectonly,
        traces=mode.visits and config.getini("cc_trace"),
        root=config.rootpath,
        host=os.environ.get("CC_HOST") or config.getini("cc_host"),
        trusts=config.getini("cc_trust"),
        progress=config.getoption("cc_progress"),
        is_stepwise=any(pytest_option(config, name) for name in _STEPWISE),
        only_sets_up=bool(pytest_option(config, "setuponly")),
        has_properties=config.getini("cc_junit_properties"),
        is_held=config.stash.get(IS_HELD, False),
        take_over=config.stash.get(TAKE_OVER, None),
    )


def pytest_option(config: pytest.Config, name: str) -> Any:
    """Return the value of an option of pytest, None where the plugin that has it is left out."""
    return config.getoption(name, None)


def runs_items(config: pytest.Config) -> bool:
    """Return whether items are run: pytest only shows them, or their fixtures, on request."""
    return not (pytest_option(config, "collectonly") or pytest_option(config, "setuponly"))


def _ini_list(config: pytest.Config, name: str) -> Sequence[str]:
    """Return a setting of pytest, () where the plugin that has it is left out."""
    try:
        found: Sequence[str] = config.getini(name)
    except ValueError:
        return ()
    return found


def _mode(config: pytest.Config) -> Mode:
    if TAKE_OVER in config.stash:
        return _CLEAN_OF_REDO
    chosen = _mode_option(config.option)
    if chosen is None:
        given = config.getini("cc_mode")
        if given and given not in _IN_FILES:
            raise BadSetting("cc_mode", given, " or ".join(_IN_FILES))
        chosen = f"--cc-{given}" if given else None
    return PLAIN if chosen is None else MODES[chosen].mode


def _mode_option(options: argparse.Namespace) -> str | None:
    """Return the option that chose a mode, None if none did."""
    chosen: str | None = getattr(options, "cc_mode", None)
    return chosen


def standing_mode(config: pytest.Config) -> tuple[str, str] | None:
    """Return the option whose mode is on without being given in this command line, and its source.

    None where the command line itself has the option, or no mode is on.
    """
    chosen = _mode_option(config.option)
    if chosen is None:
        given = config.getini("cc_mode")
        return (f"--cc-{given}", "cc_mode") if given else None
    sources: dict[str, Sequence[str]] = {
        "": config.invocation_params.args,
        "PYTEST_ADDOPTS": shlex.split(os.environ.get("PYTEST_ADDOPTS", "")),
        "addopts": config.getini("addopts"),
    }
    for source, words in sources.items():
        if any(str(word).partition("=")[0] in MODES for word in words):
            return (chosen, source) if source else None
    return None


def is_redo(config: pytest.Config) -> bool:
    """Return whether a clean comes before the session of *config*."""
    chosen = None if TAKE_OVER in config.stash else _mode_option(config.option)
    return chosen is not None and MODES[chosen].mode is _REDO


def _mentions_us(path: Path) -> bool:
    try:
        stat = path.stat()
        return _text_mentions_us(path, stat.st_mtime_ns, stat.st_size)
    except OSError:
        return False


@cache
def _text_mentions_us(path: Path, changed: int, size: int) -> bool:
    """Read the file at *path*; *changed* and *size* tell later versions of it apart."""
    return b"pytest_choochoo" in path.read_bytes()


def may_visit(early: pytest.Config) -> bool:
    """Return whether a command line that is not yet read as a whole may visit stations."""
    chosen = _mode_option(early.known_args_namespace) or f"--cc-{early.getini('cc_mode')}"
    return chosen in MODES and MODES[chosen].mode.visits


def _form(config: pytest.Config, mode: Mode) -> str:
    given = config.getoption(f"cc_{mode.name}", None) if mode.name in {"graph", "audit"} else ""
    return given if isinstance(given, str) else _DEFAULT_FORMS[mode.name]


def _unprotected(config: pytest.Config, mode: Mode) -> str:
    if config.getoption("cc_unprotect") and not mode.cleans:
        raise NothingToUnprotect
    return _selectors(config, "unprotect")


def _selectors(config: pytest.Config, name: str) -> str:
    given: list[str] = config.getoption(f"cc_{name}") or []
    for each in given:
        if not each.strip(" ,"):  # perhaps an unset variable of a script
            raise BadSetting(f"--cc-{name}", each, "a comma-separated list of stations")
    return ",".join(given)


def _profile(config: pytest.Config, mode: Mode = PLAIN) -> str:
    if mode.name == "audit" and config.getoption("cc_profile") is None:
        return AUDIT_PROFILE  # whatever a variable or an ini file says: it is cleaned at the end
    given = {
        "--cc-profile": config.getoption("cc_profile"),
        "CC_PROFILE": os.environ.get("CC_PROFILE"),
        "cc_profile": config.getini("cc_profile"),
    }
    for where, name in given.items():
        if name or (name == "" and where == "--cc-profile"):
            if not re.fullmatch(r"[a-z0-9_]{1,60}", name):
                length = ", 60 of them at most" if len(name) > 60 else ""
                raise BadSetting(where, name, f"lowercase letters, digits and '_'{length}")
            return str(name)
    return "default"


def _folder_asked_for(config: pytest.Config) -> Path | None:
    option, ini = config.getoption("cc_state"), config.getini("cc_state")
    where, given = ("--cc-state", option) if option else ("cc_state", ini)
    if not given:
        return None
    if "://" in given:
        raise BadSetting(where, given, "a folder")
    base = config.invocation_params.dir if option else config.rootpath
    try:
        folder: Path = base / Path(given).expanduser()
        is_wrong = not _may_become_folder(folder)
    except (OSError, ValueError, RuntimeError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise BadSetting(where, given, f"a folder ({cause.lower()})") from None
    if is_wrong:
        raise BadSetting(where, given, "a folder")
    if option and _is_taken_for_an_argument(config, folder) and _is_of_another_root(config, folder):
        raise BadSetting("--cc-state", given, f"given in one word here, --cc-state={given}")
    return folder


def wants_facts(config: pytest.Config) -> bool:
    """Return whether the session is to write the facts of its stations into a file."""
    return bool(config.getoption("cc_json") or config.getoption("cc_report"))


def file_of(config: pytest.Config, option: str) -> Path:
    """Return the file that *option* names. Raises `BadSetting` where a folder has that name."""
    given = config.getoption(option)
    path: Path = config.invocation_params.dir / given
    try:
        is_wrong = path.is_dir()
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise BadSetting(option, given, f"a file ({cause.lower()})") from None
    if is_wrong:
        raise BadSetting(option, given, "a file, not a folder")
    return path


def _may_become_folder(path: Path) -> bool:
    """Return whether *path* is a folder, or can be made one. Raises `OSError`, `ValueError`."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except FileNotFoundError:
        return True


def _is_taken_for_an_argument(config: pytest.Config, folder: Path) -> bool:
    """Return whether pytest found another rootdir for *folder*, the second of two words.

    Pytest determines rootdir before it knows our options, and takes an existing folder for
    one to collect: the same stations would have other node ids, and no record.
    """
    words = [*shlex.split(os.environ.get("PYTEST_ADDOPTS", "")), *config.invocation_params.args]
    if "--cc-state" not in words or not folder.is_dir():
        return False
    root, here = config.rootpath, config.invocation_params.dir
    if root not in Path(os.path.abspath(folder)).parents:
        return False
    if root not in (here, *here.parents):
        return True  # rootdir is another project's
    below = [here, *here.parents][: [here, *here.parents].index(root)]
    has_own = any((each / name).exists() for each in below for name in _CONFIGURATION)
    return has_own or (config.inipath is None and bool(below))


def _is_of_another_root(config: pytest.Config, folder: Path) -> bool:
    """Return whether the node ids of the records in *folder* are relative to another rootdir."""
    from pytest_choochoo.engine.ledger.opening import read_ledger

    location = LedgerLocation(folder, _profile(config), is_trusted=config.getini("cc_trust"))
    with closing(read_ledger(location)) as ledger:
        records = ledger.records().items()
    files = {key.partition("::")[0] for key, record in records if not record.is_forgotten}
    return not all((config.rootpath / file).exists() for file in files)


def cache_folder(config: pytest.Config) -> Path:
    """Return pytest's cache directory, which need not exist yet."""
    given = Path(os.path.expandvars(config.getini("cache_dir"))).expanduser()
    return config.rootpath / given


def _lock_timeout(config: pytest.Config) -> float:
    given = config.getoption("cc_lock_timeout")
    if given is None:
        return -1
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1
    if not seconds >= 0:
        raise BadSetting("--cc-lock-timeout", given, "a number of seconds, zero or more")
    return seconds
