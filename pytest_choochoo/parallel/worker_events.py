"""The events of a worker on xdist's own channel, examined before xdist handles them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pytest_choochoo.engine.ledger.record import Result
from pytest_choochoo.parallel.messages import UnknownMessage, unknown
from pytest_choochoo.parallel.xdist_internals import Event, Node, forget_output
from pytest_choochoo.reporting.reports import facts, put_facts


class _Form(msgspec.Struct, forbid_unknown_fields=True):
    """The arguments of an event, its worker excepted."""


class _Ready(_Form):
    workerinfo: dict[str, Any]


class _Collection(_Form):
    ids: list[str]


class _Mark(_Form):
    nodeid: str
    location: tuple[str, int | None, str]


class _Completion(_Form):
    item_index: int
    duration: float


class _Unscheduled(_Form):
    indices: list[int]


class _InternalError(_Form):
    formatted_error: str


# xdist checks none of these: an event of another form is an error of the whole session.
_FORMS: dict[str, type[_Form]] = {
    "workerready": _Ready,
    "collectionfinish": _Collection,
    "logstart": _Mark,
    "logfinish": _Mark,
    "runtest_protocol_complete": _Completion,
    "unscheduled": _Unscheduled,
    "internal_error": _InternalError,
}


class _Report(msgspec.Struct):
    """The attributes of a report on which xdist and the reporters depend."""

    nodeid: str
    outcome: str
    when: str | None
    duration: float


class _Output(msgspec.Struct):
    """The part of a worker's output that xdist reads when the worker has finished."""

    exitstatus: int
    shouldfail: bool | str
    shouldstop: bool | str


class WorkerEvents:
    """Passes on the events of a worker, and *rejects* the worker at one that is malformed.

    That event is dropped. The facts in reports become plain data again.
    """

    def __init__(
        self,
        node: Node,
        put: Callable[[Event], object],
        reject: Callable[[UnknownMessage], object],
    ) -> None:
        self._node = node
        self._put = put
        self._reject = reject

    def __call__(self, event: Event) -> None:
        """Take an event of the worker; execnet calls this in a thread of its own."""
        name, arguments = event
        try:
            self._examine(name, arguments)
        except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
            self._reject(unknown((name, self._sent(name, arguments)), error))
            if name == "workerfinished":  # xdist expects nothing more of this worker
                forget_output(self._node)
                event = ("errordown", {"node": self._node, "error": "Not properly terminated"})
                self._put(event)
        else:
            self._put(event)

    def _examine(self, name: str, arguments: dict[str, Any]) -> None:
        """Raise an error of msgspec unless the event has the form that it should have."""
        match name:
            case "workerfinished":
                msgspec.convert(self._sent(name, arguments), _Output)
            case "testreport":
                report = arguments["rep"]
                msgspec.convert(report, _Report, from_attributes=True)
                _decode_facts(report)
            case "collectreport" if arguments["rep"].passed:
                raise msgspec.ValidationError("expected a report of a failure")
            case "errordown" if isinstance(arguments["error"], pytest.ExceptionInfo):
                # xdist itself could not read what came. It announces the end of the worker once
                # more when that has really ended, and does not expect to do so twice.
                raise msgspec.ValidationError(arguments["error"].exconly())
            case _ if name in _FORMS:
                msgspec.convert(self._sent(name, arguments), _FORMS[name])

    def _sent(self, name: str, arguments: dict[str, Any]) -> object:
        """Return what the worker itself sent of an event."""
        if name == "workerfinished":
            return getattr(self._node, "workeroutput", None)
        return {key: value for key, value in arguments.items() if key != "node"}


def _decode_facts(report: Any) -> None:
    sent = getattr(report, "choochoo", None)
    if sent is None:
        return
    if not isinstance(sent, str):
        raise msgspec.ValidationError(f"expected facts as text, got {type(sent).__name__}")
    put_facts(report, facts(msgspec.json.decode(sent, type=Result)))
