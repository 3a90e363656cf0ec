"""Return annotations: those whose outcomes can be stored, and those that nobody can store."""

from __future__ import annotations

import enum
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, NoReturn, Optional, TypedDict

import pytest

from pytest_choochoo import Secret, station
from pytest_choochoo.engine.errors import UnkeptOutcome, Unstorable
from pytest_choochoo.engine.outcomes.annotations import annotation_of, unkept_outcome


class Mixed(enum.Enum):
    ONE = 1
    TWO = "two"


@dataclass
class Server:
    host: str
    mixed: Mixed
    path: Path
    process: ClassVar[subprocess.Popen[bytes] | None] = None
    parent: Optional[Server] = None  # noqa: UP045 - as users write it


@dataclass
class Running:
    name: str
    process: subprocess.Popen[bytes]


@dataclass
class Unevaluated:
    later: Nowhere  # type: ignore[name-defined] # noqa: F821 - it is about that


@dataclass
class MixedAndRunning:
    mixed: Mixed
    running: Running


class Pair(NamedTuple):
    pattern: re.Pattern[str]


class Keyed(TypedDict):
    running: Running


class Plain: ...


def returning(annotation: Any) -> Any:
    def boil() -> Any: ...

    boil.__annotations__["return"] = annotation
    return station(boil)


@pytest.mark.parametrize(
    "annotation",
    [
        *(None, Any, object, int, dict[str, Any], list[Server], Path, list[Path | None], datetime),
        *(
            Mixed,
            list[Mixed],
            Server,
            Secret,
            Secret[str],
            tuple[Secret[Server], ...],
            Literal["x"],
        ),
        *(NoReturn, Unevaluated, "list[Server]"),
    ],
    ids=str,
)
def test_outcome_that_may_be_stored_is_no_fault(annotation: Any) -> None:
    """Neither types that can be stored are faults, nor classes with fields of unknown types."""
    assert unkept_outcome(returning(annotation)) is None


UNKEPT = {
    subprocess.Popen: "Popen",
    "subprocess.Popen": "Popen",
    list[subprocess.Popen[str]]: "Popen",
    dict[str, subprocess.Popen[str] | None]: "Popen",
    dict[str, object]: "object",
    Running: "Popen",
    "list[Running]": "Popen",
    Keyed: "Popen",
    Pair: "Pattern",
    Plain: "Plain",
    Iterator[int]: "Iterator",
    Callable[..., int]: "Callable",
    Secret[Plain]: "Plain",
    list[Secret[Running]]: "Popen",
    MixedAndRunning: "Popen",
}


@pytest.mark.parametrize(("annotation", "unknown"), UNKEPT.items(), ids=map(str, UNKEPT))
def test_outcome_that_nobody_can_store_is_a_fault(annotation: Any, unknown: str) -> None:
    """A type that nobody can encode is a fault, at any depth."""
    fault = unkept_outcome(returning(annotation))

    assert isinstance(fault, UnkeptOutcome)
    assert (fault.name, fault.cause) == ("boil", f"{unknown} is not a supported type")


@pytest.mark.parametrize("annotation", ["Nowhere", "Nowhere.attribute", "1 +"])
def test_annotation_that_cannot_be_evaluated_is_a_fault(annotation: str) -> None:
    """When all modules are imported, a name that is not defined will never be."""
    fault = unkept_outcome(returning(annotation))

    assert isinstance(fault, UnkeptOutcome)
    assert fault.annotation == annotation
    assert fault.cause.startswith("its annotation: ")


def test_union_that_cannot_be_read_back_is_a_fault() -> None:
    """A union whose JSON would be ambiguous is a fault, with the reason of msgspec."""
    fault = unkept_outcome(returning(Path | str))

    assert isinstance(fault, UnkeptOutcome)
    assert fault.annotation == "pathlib.Path | str"
    assert fault.cause.startswith("Type unions containing a custom type may not contain any")


def test_annotation_that_cannot_be_evaluated_raises() -> None:
    """An annotation that cannot be understood is an error when it is needed."""
    with pytest.raises(Unstorable, match="its annotation: name 'Nowhere' is not defined"):
        annotation_of(returning("Nowhere"))


def test_annotation_that_changes_is_evaluated_again() -> None:
    """The annotation of a station is the one that it has now."""
    boil = returning("int")
    assert annotation_of(boil) is int

    boil.function.__annotations__["return"] = "str"

    assert annotation_of(boil) is str
