"""Secrets on their way between xdist's processes: in memory, on a channel of their own."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest


class SecretChannel:
    """The hook in xdist's controller, which has the secrets of all its workers."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        channel = node.gateway.newchannel()
        node.workerinput["choochoo_safe"] = channel
        channel.setcallback(partial(self._answer, channel))

    def _answer(self, channel: Any, message: tuple[str, str | None]) -> None:
        """Keep or find what a worker asks for; called in a thread of execnet, one at a time."""
        token, text = message
        if text is not None:
            self._texts[token] = text
        channel.send(self._texts.get(token))


class _Shared(dict[str, str]):
    """The secrets of this worker, and through its controller those of the others."""

    def __init__(self, channel: Any) -> None:
        super().__init__()
        self._channel = channel
        self._mutex = threading.Lock()

    def __setitem__(self, token: str, text: str) -> None:
        super().__setitem__(token, text)
        self._ask(token, text)  # answered: whoever sees the record can have the secret

    def __missing__(self, token: str) -> str:
        text = self._ask(token, None)
        if text is None:
            raise KeyError(token)
        super().__setitem__(token, text)
        return text

    def _ask(self, token: str, text: str | None) -> str | None:
        with self._mutex:  # a secret may be revealed in any thread
            self._channel.send((token, text))
            answer: str | None = self._channel.receive()
            return answer


def texts_of(config: pytest.Config) -> dict[str, str]:
    """Return where this process has the secrets of its run."""
    channel = getattr(config, "workerinput", {}).get("choochoo_safe")
    return {} if channel is None else _Shared(channel)
