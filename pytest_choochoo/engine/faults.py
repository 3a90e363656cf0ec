"""What is wrong with stations as they are written: found while collecting, told all at once."""

from __future__ import annotations

from pytest_choochoo.engine.errors import ChoochooError


class Cycle(ChoochooError):
    names: tuple[str, ...]
    steps: tuple[
        str, ...
    ]  # the names, each with where it is declared, and what fixture it waits through

    def __str__(self) -> str:
        path = " -> ".join((*self.steps, self.names[0]))
        return (
            f"stations wait for each other: {path}; "
            "take one of the parameters away, or what the two share into a station of its own"
        )


class DuplicateName(ChoochooError):
    name: str
    first: str
    second: str

    def __str__(self) -> str:
        return (
            f"two stations are called {self.name!r}: {self.first} and {self.second}; "
            "rename one of them"
        )


class ReservedName(ChoochooError):
    name: str
    location: str

    def __str__(self) -> str:
        return (
            f"{self.location}: a station cannot be called {self.name!r}, "
            "the name of a fixture of pytest's or of this plugin; rename it"
        )


class YieldStation(ChoochooError):
    name: str
    location: str

    def __str__(self) -> str:
        return (
            f"{self.location}: station {self.name!r} uses yield; "
            f"return the outcome, and undo the work in @{self.name}.clean"
        )


class StationInConftest(ChoochooError):
    name: str
    location: str

    def __str__(self) -> str:
        return (
            f"{self.location}: station {self.name!r} stands in a conftest.py; "
            "move it to stations.py beside it, where it is visible to the same directories"
        )


class StationInClass(ChoochooError):
    name: str
    location: str

    def __str__(self) -> str:
        return (
            f"{self.location}: station {self.name!r} stands in a class; "
            "move it out of the class, to the top level of its file"
        )


class StationOutside(ChoochooError):
    name: str
    location: str
    root: str

    def __str__(self) -> str:
        return (
            f"{self.location}: station {self.name!r} stands outside of rootdir {self.root}, where two "
            "stations may have one node id; give another --rootdir, or import it from a file inside"
        )


class AttachedTwice(ChoochooError):
    name: str
    what: str
    function: str
    location: str

    def __str__(self) -> str:
        if self.what == "clean":
            return (
                f"{self.location}: station {self.name!r} has a second clean, {self.function!r}; "
                "make it one function"
            )
        return (
            f"{self.location}: station {self.name!r} has two checks called {self.function!r}; "
            "rename one of them"
        )


class NoSuchInstance(ChoochooError):
    name: str
    consumer: str
    wanted: str

    def __str__(self) -> str:
        return (
            f"{self.consumer} asks for {self.name!r} with {self.wanted}, "
            "and the station is not parametrised with that; give both the same values"
        )


class ParametrisedFixture(ChoochooError):
    name: str
    fixture: str
    location: str

    def __str__(self) -> str:
        return (
            f"{self.location}: what is attached to station {self.name!r} asks for the fixture "
            f"{self.fixture!r}, which has parameters; have the station itself ask for it, "
            "so that there is one station for each of them"
        )
