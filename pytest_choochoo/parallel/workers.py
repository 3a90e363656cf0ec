"""The workers of a session as their controller knows them, and their messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from queue import SimpleQueue

from pytest_choochoo.engine.ledger.remote import LedgerServer, UnknownQuestion
from pytest_choochoo.parallel.messages import (
    Channel,
    FromWorker,
    LedgerAnswer,
    LedgerQuestion,
    UnknownMessage,
    WorkerLink,
    unknown,
)
from pytest_choochoo.parallel.xdist_internals import Node, end_process, wake_controller


class Worker:
    """One of the workers, alive or not.

    *receive* takes its messages in a thread of execnet, those about secrets excepted.
    """

    def __init__(
        self,
        node: Node,
        channel: Channel,
        server: LedgerServer | None,
        *,
        secrets: MutableMapping[str, str],
        receive: Callable[[Worker, FromWorker], object],
    ) -> None:
        self._node = node
        self._server = server
        self._receive = receive
        #: Whether it runs on the controller's machine.
        self.is_local = bool(node.gateway.spec.popen)
        #: The name that xdist gave it, `gw0` for example.
        self.name: str = node.gateway.id
        #: The process id, None until the worker sends it.
        self.pid: int | None = None
        self.is_gone = False
        #: Why the controller ended the worker, None if it did not.
        self.rejection: str | None = None
        self._link = WorkerLink(channel, secrets=secrets, receive=self._take, reject=self.reject)

    def _take(self, message: FromWorker) -> None:
        if self.rejection is not None:
            return
        if isinstance(message, LedgerQuestion) and self._server is None:
            self.reject(unknown(message.question, "this command answers no questions"))
            return
        self._receive(self, message)

    def reject(self, error: UnknownMessage) -> None:
        """End the worker, which sent what is described by *error*; xdist treats it as dead.

        Any thread may call this.
        """
        if self.rejection is None:
            self.rejection = f"worker {self._node.gateway.id} was ended, as it sent {error}"
            end_process(self._node)

    def wake_controller(self) -> None:
        """Wake the controller's main thread, which reads messages. Any thread may call this."""
        wake_controller(self._node)

    def answer(self, message: LedgerQuestion) -> None:
        """Answer a question for the controller's ledger, which the worker does not see."""
        if self._server is None or self.is_gone or self.rejection is not None:
            return
        try:
            answer = self._server.answer(message.question)
        except UnknownQuestion as error:
            self.reject(unknown(message.question, error))
        else:
            self._link.send(LedgerAnswer(answer))

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

        def receive(worker: Worker, message: FromWorker) -> None:
            self._inbox.put((worker, message))
            if server is not None:
                wake_controller(node)

        made = Worker(node, channel, server, secrets=self._secrets, receive=receive)
        self._workers[node] = made
        return channel

    def messages(self) -> Iterator[tuple[Worker, FromWorker]]:
        """Yield the messages that have arrived since the last call, with their senders."""
        while not self._inbox.empty():
            yield self._inbox.get()

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._workers.values())

    @property
    def alive(self) -> list[Worker]:
        """The workers that have not ended."""
        return [worker for worker in self if not worker.is_gone]

    def __getitem__(self, node: Node) -> Worker:
        return self._workers[node]

    def rejection(self, node: Node) -> str | None:
        """Return why the controller ended a worker, None if it did not."""
        return self._workers[node].rejection if node in self._workers else None

    def rejections(self) -> dict[Node, str]:
        """Return why the controller ended workers, by worker."""
        found = {node: worker.rejection for node, worker in self._workers.items()}
        return {node: rejection for node, rejection in found.items() if rejection is not None}

    def close(self, node: Node) -> None:
        """Close the link to a worker that has ended; xdist may announce that twice."""
        if node in self._workers:
            self._workers[node].close()

    @property
    def pids(self) -> set[int]:
        """The process ids of the workers, dead ones included, each on its machine."""
        return {worker.pid for worker in self if worker.pid is not None}
