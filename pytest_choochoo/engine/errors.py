"""The errors, a class each, with their facts and their sentence."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from typing import dataclass_transform

from pytest_choochoo.engine.shown import shown

#: The number of characters to keep of a text from outside, like the message of an error.
TEXT_LIMIT = 500


def shortened(text: str) -> str:
    """Return *text* without what exceeds `TEXT_LIMIT`, and say how much that is.

    A text that was shortened before, and is now part of a sentence, stays as it is.
    """
    left = len(text) - TEXT_LIMIT
    if left <= 0 or (left <= 200 and text.endswith(" more characters)")):
        return text
    return f"{text[:TEXT_LIMIT]}… ({left:,} more characters)"


@dataclass_transform()
class ChoochooError(Exception):
    """The base class of all errors that pytest-choochoo reports.

    A subclass carries its facts as attributes, in the order of its arguments,
    and survives pickling: errors cross from xdist workers. As text it is one
    statement, with the way out where there is one.
    """

    #: The sentence, a format string for the facts and for `{command}`, which runs the stations.
    template = ""

    # A dataclass would do the same, but dozens of them take as long to make as a
    # small suite takes to run, and every run of pytest would wait for them.
    def __init__(self, *facts: object) -> None:
        # Some facts are texts of the user's errors and values, of any length.
        bounded = [shortened(fact) if isinstance(fact, str) else fact for fact in facts]
        super().__init__(*bounded)
        for name, fact in zip(type(self).__annotations__, bounded, strict=True):
            setattr(self, name, fact)

    def __str__(self) -> str:
        return shown(self.sentence())

    def sentence(self, command: str = "pytest --cc-run") -> str:
        """Return the error in one sentence, in which *command* is what runs the stations."""
        return self.template.format_map(vars(self) | {"command": command})

    def concerns(self, name: str) -> bool:
        """Return whether the station *name* is at fault."""
        names = getattr(self, "names", (getattr(self, "name", None),))
        return name in names


# --- errors of the user's request


class UnknownSelector(ChoochooError):
    option: str
    selectors: tuple[str, ...]
    known: tuple[str, ...]

    def sentence(self, command: str = "") -> str:
        parts = (f"no station is called {each!r}; {self._way_out(each)}" for each in self.selectors)
        return f"{self.option}: {' and '.join(parts)}"

    def _way_out(self, selector: str) -> str:
        if not self.known:
            return "there are no stations here"
        close = _close_names(selector, self.known)
        if close:
            return close
        return f"choose from {', '.join(self.known[:12])}{', …' if len(self.known) > 12 else ''}"


def _close_names(name: str, known: tuple[str, ...], cutoff: float = 0.5) -> str:
    """Return a question that names those of *known* that are close to *name*; empty if none is."""
    import difflib  # needed only here, and every run of pytest would wait for it

    spelt = {each.lower(): each for each in reversed(known)}
    close = difflib.get_close_matches(name.lower(), spelt, n=3, cutoff=cutoff)
    return f"did you mean {' or '.join(repr(spelt[each]) for each in close)}?" if close else ""


class BadSetting(ChoochooError):
    where: str
    value: str
    must: str
    template = "{where} is {value!r}; it must be {must}"


class MissingExtra(ChoochooError):
    option: str
    libraries: tuple[str, ...]
    extra: str
    template = (
        "{option} needs {libraries}, which this Python cannot import: "
        "pip install 'pytest-choochoo[{extra}]'"
    )

    def sentence(self, command: str = "pytest --cc-run") -> str:
        facts = vars(self) | {"libraries": " and ".join(self.libraries)}
        return self.template.format_map(facts)


class NotAFunction(ChoochooError):
    where: str
    value: str
    template = "{where} must decorate a function, not {value!r}"


class Conflict(ChoochooError):
    first: str
    second: str
    template = "{first} and {second} cannot be combined; choose one of them"


class NothingToUnprotect(ChoochooError):
    template = (
        "--cc-unprotect lets a clean undo protected stations, and this command cleans nothing; "
        "add --cc-clean, --cc-redo SEL or --cc-audit, or leave it out"
    )


class NoLedger(ChoochooError):
    template = (
        "there is no place to remember stations: the cache provider is disabled; "
        "remove '-p no:cacheprovider', or name a folder with --cc-state"
    )


# By what is wrong with a ledger, the way out; for everything else it is another folder.
_WAYS_OUT = {
    (errno.ENOSPC, errno.EDQUOT): "free space on its disk",
    (errno.EMFILE, errno.ENFILE): "raise the limit of open files (ulimit -n)",
    (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP): "name a folder on a local disk with --cc-state",
    (errno.ENAMETOOLONG, errno.EROFS, errno.ELOOP): "name another folder with --cc-state",
}


class UnusableLedger(ChoochooError):
    path: str
    cause: str
    template = "the ledger {path} cannot be written: {cause}; {way_out}"

    def sentence(self, command: str = "pytest --cc-run") -> str:
        """Return the error in one sentence."""
        return self.template.format_map(vars(self) | {"way_out": self.way_out})

    @property
    def way_out(self) -> str:
        """The way out, which ends the sentence."""
        for numbers, way_out in _WAYS_OUT.items():
            if any(os.strerror(each).lower() in self.cause for each in numbers):
                return way_out
        if "disk is full" in self.cause:  # SQLite's words
            return _WAYS_OUT[errno.ENOSPC, errno.EDQUOT]
        return "make the folder writable, or name another with --cc-state"


class ForbiddenLedger(UnusableLedger):
    """The ledger belongs to another account; *cause* names owner and mode."""

    path: str
    cause: str
    template = (
        "this account may not use the ledger {path}: {cause}; "
        "share a folder with a group (chmod 2770), or name another with --cc-state"
    )


class ForeignLedger(UnusableLedger):
    """Others own the ledger, or may write it; *cause* names what, and the owner or the mode."""

    path: str
    cause: str
    template = (
        "the ledger {path} is not used, as others may have written it: {cause}; "
        "remove that or take it over (chown, chmod go-w), name another folder with --cc-state, "
        "or set cc_trust = true if you trust them"
    )


class UnusableKey(UnusableLedger):
    """The key of the ledger's digests is not what this program made."""

    path: str
    cause: str
    template = (
        "the key {path} is not used: {cause}; "
        "remove it: stations with env, files or products, and those whose secrets are needed, "
        "are then visited again"
    )


class LostLedger(UnusableLedger):
    """The ledger failed after it had been opened."""

    path: str
    cause: str
    template = (
        "the ledger cannot be used any more, {path}: {cause}; fix this and run again to resume"
    )


# --- faults in stations, found while collecting and reported all at once


class Cycle(ChoochooError):
    """*steps*: the names, each with its location, and the fixtures through which they wait."""

    names: tuple[str, ...]
    steps: tuple[str, ...]

    def sentence(self, command: str = "") -> str:
        path = " -> ".join((*self.steps, self.names[0]))
        return (
            f"stations wait for each other: {path}; remove one of these parameters, "
            "or move what they share into a station of its own"
        )


class OwnFormerName(ChoochooError):
    name: str
    location: str
    was: str
    template = (
        "station {name!r} ({location}) has was={was!r}, which is its own name; "
        "name what it was called before, or remove it"
    )


class FormerNameInUse(ChoochooError):
    """*other*: where the station stands that has the name."""

    name: str
    location: str
    was: str
    other: str
    template = (
        "station {name!r} ({location}) has was={was!r}, a station that still exists ({other}): "
        "only one of them can have its record; remove was=, or that station"
    )


class FormerNameShared(ChoochooError):
    """*steps*: the stations, each with its location."""

    names: tuple[str, ...]
    was: str
    steps: tuple[str, ...]

    def sentence(self, command: str = "") -> str:
        return (
            f"stations {' and '.join(self.steps)} have the same former name, was={self.was!r}: "
            "only one of them can have its record; remove was= from the others"
        )


class FormerNameCycle(ChoochooError):
    """*steps*: the stations, each with its location."""

    names: tuple[str, ...]
    steps: tuple[str, ...]

    def sentence(self, command: str = "") -> str:
        path = " was ".join((*self.steps, self.names[0]))
        return (
            f"the former names of stations form a cycle: {path}; remove was= from them, "
            "or give them names that no station had before"
        )


class DuplicateName(ChoochooError):
    name: str
    first: str
    second: str
    template = "two stations are called {name!r}: {first} and {second}; rename one of them"


class ReservedName(ChoochooError):
    name: str
    location: str
    template = (
        "{location}: a station cannot be called {name!r}, "
        "which is the name of a fixture of pytest or of this plugin; rename it"
    )


class YieldStation(ChoochooError):
    name: str
    location: str
    template = (
        "{location}: station {name!r} uses yield; "
        "return the outcome, and undo the work in @{name}.clean"
    )


class LeftToTrio(ChoochooError):
    name: str
    location: str
    template = (
        "{location}: async station {name!r} is left to pytest-trio, which awaits tests only; use "
        "anyio instead: @pytest.mark.anyio, and a fixture anyio_backend that returns 'trio'"
    )


class StationInConftest(ChoochooError):
    name: str
    location: str
    template = (
        "{location}: station {name!r} is defined in a conftest.py; "
        "move it to stations.py beside it, which is visible to the same directories"
    )


class StationInClass(ChoochooError):
    name: str
    location: str
    template = (
        "{location}: station {name!r} is defined in a class; move it to the top level of its file"
    )


class StationOutside(ChoochooError):
    name: str
    location: str
    root: str
    template = (
        "{location}: station {name!r} is defined outside the rootdir {root}, where two stations "
        "may share a node id; set another --rootdir, or import it from a file inside"
    )


class UnshowablePath(ChoochooError):
    name: str
    location: str
    template = (
        "{location}: station {name!r} lies at a path with control characters or undecodable "
        "bytes, which would be in its node id wherever that is shown; rename the file or folder"
    )


class UnknownPlaceholder(ChoochooError):
    name: str
    location: str
    keyword: str
    path: str
    cause: str
    template = (
        "{location}: station {name!r} declares {path!r} in {keyword}, but {cause}; "
        "name one of its parameters, or write {{{{ and }}}} for braces"
    )


class UnknownParameter(ChoochooError):
    """*request*: who requests the parameter, with the verb; *known*: the fixtures there are."""

    name: str
    location: str
    request: str
    parameter: str
    known: tuple[str, ...]

    def sentence(self, command: str = "") -> str:
        way_out = _close_names(self.parameter, self.known, cutoff=0.6) or (
            "correct the name, or define a fixture or a station of that name"
        )
        return (
            f"{self.location}: {self.request} {self.parameter!r}, "
            f"which is neither a fixture nor a station; {way_out}"
        )


class ModuleClash(ChoochooError):
    """*names*: the stations of the *file* that imports *module*, which gets *other*."""

    names: tuple[str, ...]
    file: str
    module: str
    beside: str
    other: str

    def sentence(self, command: str = "") -> str:
        return (
            f"{self.file} imports {self.module!r} and gets {self.other}, although {self.beside} "
            "lies beside it: Python has one module of a name; rename one of the two, "
            f"or import it by 'from .{self.module} import ...', "
            "with an __init__.py in both folders or with --import-mode=importlib"
        )


class UnkeptOutcome(ChoochooError):
    name: str
    location: str
    annotation: str
    cause: str
    template = (
        "{location}: station {name!r} returns {annotation}, which cannot be stored: {cause}; "
        "return plain data that stands for it, or implement pytest_choochoo_encode"
    )


class AttachedTwice(ChoochooError):
    name: str
    what: str
    function: str
    location: str

    def sentence(self, command: str = "") -> str:
        if self.what in {"clean", "find"}:
            fault = f"a second {self.what}, {self.function!r}; merge them into one function"
        else:
            fault = f"two checks called {self.function!r}; rename one of them"
        return f"{self.location}: station {self.name!r} has {fault}"


class FindsItself(ChoochooError):
    name: str
    location: str
    template = (
        "{location}: the find of station {name!r} requests {name!r} itself, whose outcome it is to "
        "find; remove that parameter"
    )


class FindsNothing(ChoochooError):
    name: str
    location: str
    template = (
        "{location}: station {name!r} returns nothing, so that its find has nothing to find; "
        "use a check"
    )


class NoSuchInstance(ChoochooError):
    name: str
    consumer: str
    wanted: str
    template = (
        "{consumer} requests {name!r} with {wanted}, "
        "but the station is not parametrized with that; give both the same values"
    )


class ParametrizedFixture(ChoochooError):
    name: str
    fixture: str
    location: str
    template = (
        "{location}: a check or clean of station {name!r} requests the parametrized fixture "
        "{fixture!r}; request it in the station itself, which is then parametrized as well"
    )


class MissingFile(ChoochooError):
    name: str
    path: str
    template = (
        "station {name!r} declares the file {path}, which does not exist; "
        "create it, or correct files=[...]"
    )


class NotAFile(ChoochooError):
    name: str
    path: str
    template = (
        "station {name!r} declares {path} as a file, but it is a directory; "
        "name the files in it, for instance '{path}/**/*'"
    )


class MissingProduct(ChoochooError):
    name: str
    path: str
    template = (
        "station {name!r} was visited, but its product {path} does not exist; "
        "create it in the visit, or correct products=[...]"
    )


class Undigestable(ChoochooError):
    name: str
    value: str
    type: str
    template = (
        "station {name!r}: {value} has no stable digest ({type}); use plain data: "
        "numbers, strings, bytes, collections, dataclasses, enums, paths or dates"
    )


class Unstorable(ChoochooError):
    name: str
    type: str
    cause: str
    template = (
        "the outcome of station {name!r} cannot be stored ({type}): {cause}; "
        "return plain data, or declare its type in the return annotation"
    )


class UnreadableOutcome(ChoochooError):
    name: str
    cause: str
    template = (
        "the recorded outcome of station {name!r} does not fit its annotation any more: "
        "{cause}; '{command}' visits it again"
    )

    @property
    def reason(self) -> str:
        """Why its station is due."""
        return f"its recorded outcome does not fit its annotation any more: {self.cause}"


class DamagedOutcome(UnreadableOutcome):
    """The outcome is not what a visit recorded: no annotation could read it."""

    name: str
    cause: str
    template = (
        "the recorded outcome of station {name!r} cannot be read: {cause}; "
        "'{command}' visits it again"
    )

    @property
    def reason(self) -> str:
        return f"its recorded outcome cannot be read: {self.cause}"


class SecretNotKept(ChoochooError):
    name: str
    template = (
        "the secret in the outcome of station {name!r} is unknown in this run: secrets "
        "are never written down; '{command}' visits the station again for its consumers, "
        "and data that a clean needs belongs in visit.resources"
    )


class UnkeptResource(ChoochooError):
    """A resource is not a JSON value, or its id is not a string."""

    key: str
    id: str
    type: str
    template = (
        "resource {id!r} of {key} cannot be stored ({type}); use a string id and a JSON value"
    )


class LateChange(ChoochooError):
    """A list or a dict was changed after it was put into `visit.resources`."""

    name: str
    id: str
    template = (
        "station {name!r} put a list or a dict into visit.resources[{id!r}] and changed it "
        "afterwards: the change is kept now, and would have been lost if the visit had been "
        "killed; change visit.resources[{id!r}] itself"
    )


class CheckFailed(ChoochooError):
    name: str
    check: str
    cause: str
    template = "check {check!r} of station {name!r} does not pass: {cause}"


class CheckNotAsked(ChoochooError):
    """A mistake in a check, which says nothing about the state of its station."""

    name: str
    check: str
    cause: str
    location: str
    way_out: str

    def sentence(self, command: str = "") -> str:
        return f"station {self.name!r}: {self.without_station}"

    @property
    def without_station(self) -> str:
        return (
            f"check {self.check} could not be asked: {self.cause} ({self.location}); {self.way_out}"
        )


class FindNotAsked(ChoochooError):
    """A mistake in a find, which says nothing about what is there."""

    name: str
    cause: str
    location: str
    way_out: str
    template = "station {name!r}: its find could not be asked: {cause} ({location}); {way_out}"


class NotAcceptable(ChoochooError):
    names: tuple[str, ...]

    def sentence(self, command: str = "pytest --cc-run") -> str:
        subject = "it returns" if len(self.names) == 1 else "they return"
        return (
            f"--cc-accept: the outcome of {', '.join(self.names)} is unknown, although {subject} "
            f"one; run '{command}', or give a find to what is there"
        )


class ProductNotThere(ChoochooError):
    name: str
    path: str
    template = (
        "station {name!r} cannot be accepted: its product {path} does not exist; "
        "run '{command}', which makes it"
    )


class NothingFound(ChoochooError):
    name: str
    template = "station {name!r}: its find finds nothing"


class StationDue(ChoochooError):
    name: str
    reasons: tuple[str, ...]

    def sentence(self, command: str = "") -> str:
        return f"station {self.name!r} is due: {'; '.join(self.reasons)}"


class NoRecord(ChoochooError):
    name: str
    cause: str
    template = "station {name!r} has no complete record: {cause}; run '{command}' first"


class NotWaitedFor(ChoochooError):
    name: str
    cause: str
    template = (
        "station {name!r} has no complete record: {cause}; "
        "request it as a parameter, so that it is visited first"
    )


class NotSetUp(ChoochooError):
    name: str
    cause: str
    template = (
        "station {name!r} has no complete record: {cause}; "
        "--setup-only visits no station: run '{command}' first"
    )


class LockTimeout(ChoochooError):
    name: str
    seconds: float
    holder: str
    template = (
        "station {name!r} is still being visited by {holder} after {seconds:g} s; "
        "wait for it, or raise --cc-lock-timeout"
    )


class ProfileBusy(ChoochooError):
    holders: str
    seconds: float
    template = (
        "still waiting for {holders}, after {seconds:g} s; "
        "let it end first, or raise --cc-lock-timeout"
    )


class ProtectedStation(ChoochooError):
    """*selector*: the station for `--cc-unprotect`, as a shell reads it."""

    name: str
    selector: str
    template = (
        "station {name!r} is protected, so it was not cleaned; "
        "to clean it, add --cc-unprotect={selector}"
    )

    @classmethod
    def is_cause(cls, cause: str, name: str) -> bool:
        """Return whether *cause* is that the station *name* is protected."""
        return cause.startswith(shown(cls(name, "").sentence().partition(",")[0]))


class StillThere(ChoochooError):
    name: str
    check: str
    template = (
        "station {name!r} was cleaned, but its check {check!r} still passes; "
        "either the clean or the check is wrong"
    )


class NotFromNothing(ChoochooError):
    profile: str
    names: tuple[str, ...]
    clean: str
    template = (
        "an audit begins from nothing, but stations are complete in profile {profile!r}: {names}; "
        "clean them first: {clean}"
    )

    def sentence(self, command: str = "") -> str:
        *first, last = self.names if len(self.names) < 4 else (*self.names[:3], "...")
        facts = vars(self) | {"names": ", ".join((*first, last))}
        return self.template.format_map(facts)


class AuditFinds(ChoochooError):
    """*findings*: each in several lines; *beside*: what went wrong beside, a line each."""

    name: str
    findings: tuple[str, ...]
    beside: tuple[str, ...]

    def __str__(self) -> str:
        return self.sentence().partition("\n")[0]

    def sentence(self, command: str = "") -> str:
        number = len(self.findings)
        faults = f"{number} faults" if number > 1 else "a fault"
        head = f"the audit found {faults} in station {self.name!r}"
        return "\n\n".join((head, *self.findings, *self.beside))


class HookFailed(ChoochooError):
    """*place*: the line that raised *cause*, as `file:line`."""

    plugin: str
    hook: str
    cause: str
    place: str
    template = "plugin {plugin!r} failed in {hook} ({place}): {cause}; correct it, or disable it"


class OnlyInStations(ChoochooError):
    consumer: str
    template = (
        "{consumer} requests 'visit', which exists only in stations, checks and cleans; "
        "request the station instead"
    )


def check_line(check: str, error: BaseException) -> str:
    """Return in one line that *check* raised *error*."""
    line = error_line(error)
    return line if isinstance(error, CheckNotAsked) else f"check {check} does not pass: {line}"


def answers(names: Iterable[str], failures: Mapping[str, BaseException]) -> dict[str, str]:
    """Return what the checks called *names* came to: `passed`, or the error among *failures*."""
    return {name: error_line(failures[name]) if name in failures else "passed" for name in names}


def error_line(error: BaseException) -> str:
    """Return *error* in one line: the first line of its message, after its type if not ours."""
    try:
        first = (str(error).strip().splitlines() or [""])[0]
    except Exception:  # noqa: BLE001 - the user's error may have a `__str__` of its own
        first = "<it cannot be shown>"
    if isinstance(error, CheckFailed):
        return error.cause
    if isinstance(error, CheckNotAsked):
        return error.without_station
    if isinstance(error, ChoochooError):  # its sentence says everything, the way out included
        return first
    first = shortened(first)
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
