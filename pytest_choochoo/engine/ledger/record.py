"""Records, attempts and results, and their form as JSON text."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal, get_args

import msgspec

#: Why a station that was attempted counts as not complete: the user forgot it, or cleaned it.
#: Forgotten as well is what a clean left in place, as nothing undoes it.
Forgotten = Literal["forgotten", "left in place", "cleaned"]
Status = Literal["visiting", "complete", "failed", "interrupted", "unreadable", Forgotten]
_FORGOTTEN = frozenset(get_args(Forgotten))


#: The form of a fingerprint that is taken now. In form 2, the digests of files, env and products
#: were plain, from which the keyed ones of now are made. In form 1, moreover, upstream paths below
#: rootdir counted as a whole. In form 0, moreover, links, upstream products and the types in
#: upstream outcomes did not count, and upstream stations that return nothing did.
FORM = 3


# The way to a string in the JSON of an outcome: keys and indexes. A last None means a key itself.
SecretPath = tuple[str | int | None, ...]


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The digest of each input of one visit, by kind and name.

    *renewals*: the `Record.renewal` of every station upstream, at any depth, that renews.
    *values* is None if the values are unknown. *entered*: the names in *code* of what the last
    visit entered although no name leads to it. *hints* show the old and the new value
    to the user, for inputs that may be shown. *form*: how the digests were made. *key*: the name
    of the key with which those of files, env and products were; "" where there are none.
    """

    upstream: dict[str, str] = {}
    upstream_products: dict[str, str] = {}
    renewals: dict[str, str] = {}
    files: dict[str, str] = {}
    env: dict[str, str] = {}
    values: dict[str, str] | None = None
    parameters: dict[str, str] = {}
    code: dict[str, str] = {}
    entered: tuple[str, ...] = ()
    hints: dict[str, str] = {}
    form: int = 0
    key: str = ""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The memory of a station: how its last attempt ended, and what its last visit left.

    Times are seconds since the epoch. *status*, *since*, *error*, *pid* and
    *host* describe the last attempt; *fingerprint*, *outcome*, *outcome_digest*,
    *products*, *began*, *visited* (when it ended) and *seconds* the last visit
    that returned. *fingerprint* is None when none ever did. *is_sound*: nothing but
    the checks failed in that visit. *renewal*: the name of the last visit that began, where
    its station renews. *for_cleans*: the last outcome of a station that was forgotten and has
    not been visited to its end since, for cleans and nothing else. *secrets*: the paths of the
    tokens that stand for secrets in the one of these outcomes that there is; None where it has
    nothing like a token, and in records of versions that took every token for a secret.
    """

    status: Status
    since: float
    error: str = ""
    pid: int = 0
    host: str = ""
    fingerprint: Fingerprint | None = None
    outcome: str | None = None
    outcome_digest: str = ""
    is_sound: bool = True
    products: dict[str, str] = {}
    visited: float = 0.0
    began: float = 0.0
    seconds: float = 0.0
    renewal: str = ""
    for_cleans: str | None = None
    secrets: tuple[SecretPath, ...] | None = None

    @property
    def is_complete(self) -> bool:
        return self.status == "complete"

    @property
    def is_visiting(self) -> bool:
        return self.status == "visiting"

    @property
    def is_forgotten(self) -> bool:
        return self.status in _FORGOTTEN

    @property
    def visitor(self) -> str:
        """The process that is visiting the station, in words."""
        if not self.pid:
            return "another process"
        since = time.strftime("%H:%M:%S", time.localtime(self.since))
        return f"process {self.pid} on {self.host} (since {since})"

    def with_(self, **changes: Any) -> Record:
        """Return a copy with *changes*."""
        return msgspec.structs.replace(self, **changes)

    def forgotten(self, status: Forgotten) -> Record:
        """Return what is left of the record now that the station was forgotten, or cleaned."""
        left = self.for_cleans if self.outcome is None else self.outcome
        is_left = status != "cleaned"
        # Downstream may not have consumed the last visit of a station that renews.
        return Record(
            status=status,
            since=time.time(),
            renewal=self.renewal,
            for_cleans=left if is_left else None,
            secrets=self.secrets if is_left else None,
        )


class AttemptRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One visit that was begun: when, why, and how it ended."""

    began: float
    ended: float | None
    status: Status
    error: str
    reasons: tuple[str, ...]


#: The number of characters that are kept of what a visit printed: the last ones.
OUTPUT_LIMIT = 256 * 1024


class PastRun(msgspec.Struct, frozen=True, kw_only=True):
    """One command that worked on stations: when it began, how long it took, what came of it.

    *command*: `run`, `clean`, …; *counts*: the number of stations of each result.
    """

    began: float
    seconds: float
    command: str
    counts: dict[str, int]
    exit_code: int


#: The ways in which a station can end, in the order in which they are counted.
Word = Literal[
    "visited",
    "unchanged",
    "verified",
    "audited",
    "adopted",
    "failed",
    "blocked",
    "skipped",
    "not reached",
    "cleaned",
    "left in place",
]


class Finding(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A fault that an audit found in a station: what was *done*, *expected*, and *seen*.

    *kind*: what it is called, like "not idempotent".
    """

    kind: str
    done: str
    expected: str
    seen: str


# No cycle can contain one, so the garbage collector need not track the thousands of a long run.
class Result(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename={"word": "result"}):
    """How a station ended in one run.

    *cause*: the error where it failed, the reason where it was skipped. *by*: the
    names of the stations that block it, or with which it was cleaned. *seconds*: how long
    its visit took; *spared*: how long the last visit took, which was not repeated.
    *checks*: the last answer of each check by name, `passed` or its error. *findings*: the
    faults that an audit found in it. *is_station*: False for a test.
    """

    key: str
    name: str
    title: str
    word: Word
    reasons: tuple[str, ...] = ()
    cause: str = ""
    by: tuple[str, ...] = ()
    upstream: tuple[str, ...] = ()
    seconds: float = 0.0
    spared: float = 0.0
    checks: dict[str, str] = {}
    findings: tuple[Finding, ...] = ()
    is_station: bool = True

    @property
    def is_complete(self) -> bool:
        return self.word in {"visited", "unchanged", "verified", "adopted"}


def durations_of(records: Mapping[str, Record]) -> dict[str, float]:
    """Return by key the seconds that the last visit of each station took, where they are known."""
    return {key: record.seconds for key, record in records.items() if record.seconds}


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Record)


def to_text(plain: object) -> str:
    """Return *plain* data, a record or a result for example, as JSON."""
    try:
        return _ENCODER.encode(plain).decode()
    except UnicodeEncodeError:
        return _ENCODER.encode(spelt_out(msgspec.to_builtins(plain))).decode()


def spelt_out(plain: Any) -> Any:
    """Return *plain* data with escapes for lone surrogates, which file names may contain."""
    match plain:
        case str():
            return plain.encode(errors="backslashreplace").decode()
        case dict():
            return {spelt_out(key): spelt_out(value) for key, value in plain.items()}
        case list() | tuple():
            return [spelt_out(each) for each in plain]
        case _:
            return plain


def from_text(text: str | bytes) -> Record:
    """Return the record in *text*, one with the status `unreadable` if it cannot be decoded.

    Unknown keys are ignored, so that an older reader survives a newer writer.
    """
    try:
        record = _DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeError, TypeError, RecursionError) as error:
        return Record(status="unreadable", since=0.0, error=str(error))
    if record.is_complete and (record.fingerprint is None or record.outcome is None):
        missing = "its fingerprint or outcome is missing"
        return Record(status="unreadable", since=record.since, error=missing)
    return record
