"""What can go wrong, a class each, with its facts and its sentence."""

from __future__ import annotations

from typing import dataclass_transform


@dataclass_transform()
class ChoochooError(Exception):
    """Anything that pytest-choochoo has to say no to.

    A subclass carries its facts as attributes, in the order of its arguments,
    and survives pickling: errors cross from xdist workers. As text it is one
    statement, with the way out where there is one.
    """

    # By hand what a dataclass would do: thirty of them take as long to make as
    # a small suite takes to run, and every run of pytest would wait for it.
    def __init__(self, *facts: object) -> None:
        super().__init__(*facts)
        for name, fact in zip(type(self).__annotations__, facts, strict=True):
            setattr(self, name, fact)

    def concerns(self, name: str) -> bool:
        """Say whether the station *name* is at fault."""
        names = getattr(self, "names", (getattr(self, "name", None),))
        return name in names


# --- what was asked for cannot be done


class UnknownSelector(ChoochooError):
    option: str
    selectors: tuple[str, ...]
    known: tuple[str, ...]

    def __str__(self) -> str:
        parts = (f"no station is called {each!r}; {self._way_out(each)}" for each in self.selectors)
        return f"{self.option}: {' and '.join(parts)}"

    def _way_out(self, selector: str) -> str:
        if not self.known:
            return "there are none here"
        import difflib  # only ever needed here, and every run of pytest would wait for it

        spelt = {name.lower(): name for name in reversed(self.known)}
        close = difflib.get_close_matches(selector.lower(), spelt, n=3, cutoff=0.5)
        if close:
            return f"did you mean {' or '.join(repr(spelt[name]) for name in close)}?"
        return f"there are {', '.join(self.known[:12])}{', …' if len(self.known) > 12 else ''}"


class BadSetting(ChoochooError):
    where: str
    value: str
    must: str

    def __str__(self) -> str:
        return f"{self.where} is {self.value!r}; it must be {self.must}"


class Conflict(ChoochooError):
    first: str
    second: str

    def __str__(self) -> str:
        return f"{self.first} and {self.second} cannot go together; choose one of them"


class NoLedger(ChoochooError):
    def __str__(self) -> str:
        return (
            "there is no place to remember stations: the cache provider is switched off; "
            "leave out '-p no:cacheprovider', or name a folder with --cc-state"
        )


class UnusableLedger(ChoochooError):
    path: str
    cause: str

    def __str__(self) -> str:
        return (
            f"the ledger {self.path} cannot be written: {self.cause}; "
            "make the folder writable, or name another with --cc-state"
        )


# --- a station fails, apart from its own exceptions


class MissingFile(ChoochooError):
    name: str
    path: str

    def __str__(self) -> str:
        return (
            f"station {self.name!r} declares the file {self.path}, which does not exist; "
            "create it, or correct files=[...]"
        )


class NotAFile(ChoochooError):
    name: str
    path: str

    def __str__(self) -> str:
        return (
            f"station {self.name!r} declares {self.path} in files, which is a directory; "
            f"name the files in it, for instance '{self.path}/**/*'"
        )


class MissingProduct(ChoochooError):
    name: str
    path: str

    def __str__(self) -> str:
        return (
            f"station {self.name!r} was visited and its product {self.path} is not there; "
            "make it in the visit, or correct products=[...]"
        )


class Undigestable(ChoochooError):
    name: str
    value: str
    type: str

    def __str__(self) -> str:
        return (
            f"station {self.name!r}: {self.value} has no stable digest ({self.type}); "
            "give plain data: numbers, text, bytes, collections, dataclasses, enums, paths, dates"
        )


class Unstorable(ChoochooError):
    name: str
    type: str
    cause: str

    def __str__(self) -> str:
        return (
            f"the outcome of station {self.name!r} cannot be kept ({self.type}): {self.cause}; "
            "return plain data, or say in the return annotation what it is"
        )


class UnreadableOutcome(ChoochooError):
    name: str
    cause: str

    def __str__(self) -> str:
        return (
            f"the recorded outcome of station {self.name!r} does not fit its annotation any more: "
            f"{self.cause}; 'pytest --cc-run' visits it again"
        )


class CheckFailed(ChoochooError):
    name: str
    check: str
    cause: str

    def __str__(self) -> str:
        return f"check {self.check!r} of station {self.name!r} does not pass: {self.cause}"


class CheckAnswer(ChoochooError):
    name: str
    check: str
    answer: str

    def __str__(self) -> str:
        return (
            f"check {self.check!r} of station {self.name!r} returned {self.answer}; "
            "a check returns nothing, True or False"
        )


class StationDue(ChoochooError):
    name: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"station {self.name!r} is due: {'; '.join(self.reasons)}"


class NoRecord(ChoochooError):
    name: str
    cause: str

    def __str__(self) -> str:
        return (
            f"station {self.name!r} has no complete record: {self.cause}; "
            "run 'pytest --cc-run' first"
        )


class NotWaitedFor(ChoochooError):
    name: str
    cause: str

    def __str__(self) -> str:
        return (
            f"station {self.name!r} has no complete record: {self.cause}; "
            "request it by a parameter, so that it is visited first"
        )


class LockTimeout(ChoochooError):
    name: str
    seconds: float
    holder: str

    def __str__(self) -> str:
        return (
            f"station {self.name!r} is still being visited by {self.holder} "
            f"after {self.seconds:g} s; wait for it, or raise --cc-lock-timeout"
        )


class StillThere(ChoochooError):
    name: str
    check: str

    def __str__(self) -> str:
        return (
            f"station {self.name!r} was cleaned and its check {self.check!r} still passes; "
            "either the clean or the check is wrong"
        )


class OnlyInStations(ChoochooError):
    consumer: str

    def __str__(self) -> str:
        return (
            f"{self.consumer} asks for 'visit', which exists only in stations, checks and cleans; "
            "ask for the station instead"
        )
