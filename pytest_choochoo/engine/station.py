"""Stations as users declare them: a function, its keywords, its checks, its find and its clean."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Generic, TypedDict, TypeVar, Unpack, cast, overload

import msgspec

from pytest_choochoo.engine.errors import (
    AttachedTwice,
    BadSetting,
    ChoochooError,
    FindsItself,
    NotAFunction,
    YieldStation,
)
from pytest_choochoo.engine.place import SCOPES, Scope

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
F = TypeVar("F", bound=Callable[..., object])


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A function that passes when its station is in the desired state.

    *within*: seconds for which it is tried again after a visit. *warns*: where it does not
    pass, that is a warning, and the station is complete nevertheless.
    """

    function: Callable[..., object]
    name: str
    within: float
    warns: bool = False


class Keywords(TypedDict, total=False):
    """The keywords of `station`, as users give them."""

    title: str | None
    files: Iterable[str | Path]
    env: Iterable[str]
    values: Iterable[str]
    products: Iterable[str | Path]
    max_age: float | timedelta | None
    version: str | None
    renews: bool
    in_order: bool
    place: Scope
    protect: bool
    was: str | Iterable[str]


class Declaration(msgspec.Struct, frozen=True, kw_only=True):
    """The keywords of `station` as they were read, *max_age* in seconds."""

    title: str | None = None
    files: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    max_age: float | None = None
    version: str | None = None
    renews: bool = False
    in_order: bool = False
    place: Scope = "here"
    protect: bool = False
    was: tuple[str, ...] = ()


class Station(Generic[T_co]):
    """One step of a workflow; calling it calls the plain function.

    It is callable and has a `__name__`, so that marks may stand above it, and
    an empty `__dict__`, because pytest takes the names in there for keywords.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_binding",
        "_cleans",
        "_finds",
        "_is_made",
        "_namespace",
        "checks",
        "declaration",
        "file",
        "function",
        "home",
        "line",
        "name",
        "pytestmark",
        "shadowed",
        "warning_checks",
    )

    def __init__(
        self,
        function: Callable[..., T_co],
        declaration: Declaration,
        shadowed: Station[Any] | None = None,
    ) -> None:
        self.function = function
        self.declaration = declaration
        #: The name that the module binds it to, known when it is imported; until then, and
        #: for a station that a function makes, the function's name.
        self.name: str = getattr(function, "__name__", "station")
        code = cast(Any, inspect.unwrap(function)).__code__
        self._is_made = "<locals>" in getattr(function, "__qualname__", self.name)
        frame = _module_being_imported()
        self._namespace: dict[str, Any] = {} if frame is None else frame.f_globals
        self._binding: str | None = None
        #: The file in which it is defined, as a string; for a factory, the file that calls it.
        self.home: str = code.co_filename if frame is None else frame.f_code.co_filename
        #: The file that declares it, as a string: it is needed often.
        self.file: str = code.co_filename if self._is_made else self.home
        #: The line on which it is declared, counted from one.
        self.line: int = code.co_firstlineno
        if frame is not None and self.file != code.co_filename:
            self.line = frame.f_lineno
        #: A station of the same name that this one replaces in its file.
        self.shadowed = shadowed
        # Marks below @station arrive with the function; those above are put here.
        self.pytestmark: list[Any] = list(getattr(function, "pytestmark", ()))
        #: The checks that decide whether the station is in its desired state.
        self.checks: tuple[Check, ...] = ()
        #: The checks that only warn: they decide nothing.
        self.warning_checks: tuple[Check, ...] = ()
        self._cleans: tuple[Callable[..., object], ...] = ()
        self._finds: tuple[Callable[..., object], ...] = ()

    def __call__(self, *args: Any, **kwargs: Any) -> T_co:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<station {self.name}>"

    @property
    def __name__(self) -> str:
        return self.name

    @property
    def __wrapped__(self) -> Callable[..., T_co]:
        return self.function

    @property
    def identity(self) -> object:
        """Equal for one station that is imported under two module names.

        A station is where it stands, and the first name that it has there.
        """
        if self._binding is None:
            self._bind_all()
        return id(self) if self._binding is None else (self.home, self._binding)

    def _bind_all(self) -> None:
        """Give the stations of this one's module the names that the module binds them to."""
        for name, value in self._namespace.items():
            # By its type: some objects raise when they are asked for their class.
            if issubclass(type(value), Station) and value._namespace is self._namespace:
                value._binding = value._binding or name
                if not value._is_made:
                    value.name = value._binding

    @property
    def title(self) -> str:
        """The title given, else the first line of the docstring, else the name."""
        if self.declaration.title is not None:
            return self.declaration.title
        lines = (self.function.__doc__ or "").strip().splitlines()
        return lines[0] if lines else self.name

    @property
    def path(self) -> Path:
        """The file that declares it."""
        return Path(self.file)

    @property
    def location(self) -> str:
        """Its position in the source, as `file:line`, relative to the working directory."""
        return _location(self.file, self.line)

    @property
    def clean_function(self) -> Callable[..., object] | None:
        return self._cleans[0] if self._cleans else None

    @property
    def find_function(self) -> Callable[..., object] | None:
        return self._finds[0] if self._finds else None

    @property
    def all_checks(self) -> tuple[Check, ...]:
        """The checks, and after them those that only warn."""
        return self.checks + self.warning_checks

    @overload
    def check(self, function: F, /) -> F: ...
    @overload
    def check(
        self, /, *, within: float | timedelta = 0, warn: bool = False
    ) -> Callable[[F], F]: ...
    def check(
        self,
        function: F | None = None,
        /,
        *,
        within: float | timedelta = 0,
        warn: bool = False,
    ) -> F | Callable[[F], F]:
        """Attach a check: it passes when it returns None or True and raises nothing.

        *within*: seconds, or a `timedelta`, for which it is tried again after a visit.
        *warn*: it is asked after a visit and by `--cc-check`; where it does not pass, there is a
        warning, and the station is complete nevertheless.

        Raises `ChoochooError` when a keyword has a wrong type.
        """
        seconds = _seconds(f"@{self.name}.check(within=...)", within)
        warns = _true_or_false(f"@{self.name}.check(warn=...)", warn)

        def attach(function: F) -> F:
            _require_function(callable(function), f"@{self.name}.check", function)
            name = getattr(function, "__name__", "check")
            check = Check(function=function, name=name, within=seconds, warns=warns)
            if warns:
                self.warning_checks += (check,)
            else:
                self.checks += (check,)
            return function

        return attach if function is None else attach(function)

    def clean(self, function: F, /) -> F:
        """Attach the function that undoes the station."""
        _require_function(callable(function), f"@{self.name}.clean", function)
        self._cleans += (function,)
        return function

    def find(self, function: F, /) -> F:
        """Attach the function that returns the outcome of what is already there.

        It returns None, or raises anything, where nothing is there. It is asked where the outcome
        is not known.
        """
        _require_function(callable(function), f"@{self.name}.find", function)
        self._finds += (function,)
        return function

    def location_of(self, function: Callable[..., object]) -> str:
        """Return the position in the source of *function*, which is attached to the station."""
        plain = inspect.unwrap(function)
        code = getattr(plain, "__code__", None)
        return self.location if code is None else _location(code.co_filename, code.co_firstlineno)

    def faults(self) -> tuple[ChoochooError, ...]:
        """Return the errors of the station by itself."""
        found: list[ChoochooError] = []
        plain = inspect.unwrap(self.function)
        if inspect.isgeneratorfunction(plain) or inspect.isasyncgenfunction(plain):
            found.append(YieldStation(self.name, self.location))
        if not self.all_checks and not self._cleans and not self._finds:
            return tuple(found)
        by_name: dict[str, list[Check]] = {}
        for check in self.all_checks:
            by_name.setdefault(check.name, []).append(check)
        found += [
            AttachedTwice(self.name, "check", name, self.location_of(again[0].function))
            for name, (_, *again) in by_name.items()
            if again
        ]
        found += [
            AttachedTwice(
                self.name, what, getattr(extra, "__name__", what), self.location_of(extra)
            )
            for what, functions in (("clean", self._cleans), ("find", self._finds))
            for extra in functions[1:]
        ]
        found += [
            FindsItself(self.name, self.location_of(each))
            for each in self._finds
            if self.name in inspect.signature(each).parameters
        ]
        return tuple(found)


@overload
def station(function: Callable[..., T], /) -> Station[T]: ...
@overload
def station(**keywords: Unpack[Keywords]) -> Callable[[Callable[..., T]], Station[T]]: ...
def station(
    function: Callable[..., T] | None = None, /, **keywords: Unpack[Keywords]
) -> Station[T] | Callable[[Callable[..., T]], Station[T]]:
    """Make a function a station: a step that is completed once and remembered.

    *title*: a title for people (default: the docstring's first line, else the name).
    *files*: paths or globs of input files, relative to the declaring file; `{name}` stands
    for the parameter of that name, here and in *products*.
    *env*: names of environment variables that are inputs.
    *values*: names of fixtures whose value is an input.
    *products*: paths that the visit makes, relative to the declaring file.
    *max_age*: a `timedelta`, or seconds, after which it is visited again.
    *version*: stands for the code instead of its source.
    *renews*: a visit makes its thing again from nothing, so that all downstream is due after it.
    *in_order*: its instances wait for each other, in the order of their parameters.
    *place*: where its effect lives, and its record is believed: "here" in this checkout on this
    machine, "host" in every checkout on this machine, "anywhere".
    *protect*: a clean leaves it alone unless `--cc-unprotect` names it.
    *was*: its former name, or its former node id, or several of them, the latest one first:
    what is recorded there becomes its own, once.

    Raises `ChoochooError` when a keyword has a wrong type.
    """
    declare = partial(_declare, _read(keywords))
    return declare if function is None else declare(function)


def _declare(declaration: Declaration, function: Callable[..., T]) -> Station[T]:
    _require_function(_can_be_visited(function), "@station", function)
    return Station(function, declaration, shadowed=_shadowed(function))


def _can_be_visited(function: Callable[..., object]) -> bool:
    # Its source is an input: a callable without source, like a partial, would never be due.
    has_source = callable(function) and hasattr(inspect.unwrap(function), "__code__")
    # A station is a fixture already: the function of a fixture cannot be called.
    is_fixture = type(function).__module__.partition(".")[0] == "_pytest"
    return has_source and not is_fixture and not isinstance(function, Station)


# The names of modules that are run, not imported: by Python, and in a worker of a parallel run.
_SCRIPTS = frozenset({"__main__", "__channelexec__"})


def _module_being_imported() -> FrameType | None:
    """Return the frame of the module that is being imported, None where there is none."""
    frame = inspect.currentframe()
    while frame is not None:
        code = frame.f_code
        if code.co_name == "<module>" and os.path.isabs(code.co_filename):
            # Pytest itself, or a worker of it, may be a script; stations may be made while it runs.
            is_script = frame.f_globals.get("__name__") in _SCRIPTS
            return None if is_script else frame
        frame = frame.f_back
    return None


def _string(where: str, given: str | None) -> str | None:
    if not isinstance(given, str | None):
        raise BadSetting(where, str(given), "a string")
    return None if given is None else str(given)


def _true_or_false(where: str, given: bool) -> bool:
    if not isinstance(given, bool):
        raise BadSetting(where, str(given), "True or False")
    return given


def _scope(where: str, given: Scope) -> Scope:
    if given not in SCOPES:
        raise BadSetting(where, str(given), "'here', 'host' or 'anywhere'")
    return given


def _strings(where: str, given: Iterable[str | Path]) -> tuple[str, ...]:
    if given == ():
        return ()
    # A lone string is an iterable of letters: files="app.zip" would be five files.
    is_list = isinstance(given, Iterable) and not isinstance(given, str | bytes)
    strings = tuple(given) if is_list else ()
    if not is_list or not all(isinstance(each, str | Path) for each in strings):
        raise BadSetting(where, str(given), "a list of strings")
    return tuple(str(each) for each in strings)


def _former_names(where: str, given: str | Iterable[str]) -> tuple[str, ...]:
    is_list = isinstance(given, Iterable) and not isinstance(given, str | bytes)
    names: tuple[Any, ...] = tuple(given) if is_list else (given,)
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise BadSetting(where, str(given), "a former name or node id, or a list of them")
    return names


def _seconds(where: str, given: float | timedelta) -> float:
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        raise BadSetting(where, str(given), "a timedelta, or a number of seconds, zero or more")
    return float(seconds)


def _age(where: str, given: float | timedelta | None) -> float | None:
    return None if given is None else _seconds(where, given)


_READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "title": _string,
    "files": _strings,
    "env": _strings,
    "values": _strings,
    "products": _strings,
    "max_age": _age,
    "version": _string,
    "renews": _true_or_false,
    "in_order": _true_or_false,
    "place": _scope,
    "protect": _true_or_false,
    "was": _former_names,
}


def _read(keywords: Keywords) -> Declaration:
    """Return what *keywords* declare. Raises `BadSetting`, and `TypeError` for an unknown one."""
    read: dict[str, Any] = {}
    for keyword, given in keywords.items():
        if keyword not in _READERS:
            raise TypeError(f"station() got an unexpected keyword argument {keyword!r}")
        read[keyword] = _READERS[keyword](f"@station({keyword}=...)", given)
    return Declaration(**read)


def _require_function(is_function: bool, where: str, given: object) -> None:
    if not is_function:
        raise NotAFunction(where, str(given))


def _shadowed(function: Callable[..., object]) -> Station[Any] | None:
    """Return the station in the same file that *function* replaces, or None."""
    plain = inspect.unwrap(function)
    before = getattr(plain, "__globals__", {}).get(getattr(function, "__name__", None))
    if not isinstance(before, Station) or "<locals>" in getattr(function, "__qualname__", ""):
        return None
    same_file = before.file == plain.__code__.co_filename
    # A module that is loaded again declares the same station at the same line.
    return before if same_file and before.line != plain.__code__.co_firstlineno else None


def _location(file: str, line: int) -> str:
    try:
        return f"{os.path.relpath(file)}:{line}"
    except (ValueError, OSError):  # on another drive, or the working directory is gone
        return f"{file}:{line}"
