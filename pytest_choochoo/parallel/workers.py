"""The workers of a session as their controller knows them, and their messages."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from functools import partial
from queue import SimpleQueue

from pytest_choochoo.engine.ledger.remote import LedgerServer
from pytest_choochoo.parallel.messages import (
    Channel,
    FromWorker,
    LedgerAnswer,
    LedgerQuestion,
    WorkerLink,
)
from pytest_choochoo.parallel.xdist_internals import Node, wake_controller


class Worker:
    """One of the workers, alive or not."""

    def __init__(self, link: WorkerLink, server: LedgerServer | None, *, is_local: bool) -> None:
        self._link = link
        self._server = server
        #: Whether it runs on the controller's machine.
        self.is_local = is_local
        #: The process id, None until the worker sends it.
        self.pid: int | None = None
        self.is_gone = False

    def answer(self, message: LedgerQuestion) -> None:
        """Answer a question for the controller's ledger, which the worker does not see."""
        if self._server is not None and not self.is_gone:
            self._link.send(LedgerAnswer(self._server.answer(message.question)))

    def close(self) -> None:
        """Release the locks that are held for the worker, which has ended."""
        self.is_gone = True
        if self._server is not None:
            self._server.close()


class Workers:
    """All workers of a session, replacements included.

    *secrets*: the texts of the secrets of all workers by token.
    """

    def __init__(self, secrets: MutableMapping[str, str]) -> None:
        self._secrets = secrets
        self._workers: dict[Node, Worker] = {}
        self._inbox: SimpleQueue[tuple[Worker, FromWorker]] = SimpleQueue()

    def connect(self, node: Node, server: LedgerServer | None = None) -> Channel:
        """Open a channel to a worker that is about to start, and return the worker's end.

        With a *server*, each message wakes the controller. Without one, messages wait until the
        worker ends.
        """
        channel: Channel = node.gateway.newchannel()
        receive = partial(self._receive, node, wakes=server is not None)
        link = WorkerLink(channel, secrets=self._secrets, receive=receive)
        self._workers[node] = Worker(link, server, is_local=bool(node.gateway.spec.popen))
        return channel

    def _receive(self, node: Node, message: FromWorker, *, wakes: bool) -> None:
        self._inbox.put((self._workers[node], message))
        if wakes:
            wake_controller(node)

    def messages(self) -> Iterator[tuple[Worker, FromWorker]]:
        """Yield the messages that have arrived since the last call, with their senders."""
        while not self._inbox.empty():
            yield self._inbox.get()

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._workers.values())

    def close(self, node: Node) -> None:
        """Close the link to a worker that has ended; xdist may announce that twice."""
        if node in self._workers:
            self._workers[node].close()

    @property
    def pids(self) -> set[int]:
        """The process ids of the workers, dead ones included, each on its machine."""
        return {worker.pid for worker in self if worker.pid is not None}
