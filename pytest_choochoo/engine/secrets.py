"""Values that are never shown or written down, and the store that holds them during a run."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, Generic, NoReturn, Self, TypeVar, final

import msgspec

T_co = TypeVar("T_co", covariant=True)

#: A token stands in a record for a secret: a digest that cannot be guessed without the key.
TOKEN_PREFIX = "choochoo.secret:"
TOKEN = re.compile(rf"{re.escape(TOKEN_PREFIX)}[0-9a-f]{{32}}")
_SHOWN = "***"


@final
class Secret(Generic[T_co]):
    """A value inside an outcome that is shown as `***` and never written down.

    `reveal()` returns it. A revealed value is a value like any other: a failing
    assert shows it, and code that writes it to a file does so in plain text.
    """

    # The value itself is in a closure: a tool that lists attributes does not find it.
    __slots__ = ("_find", "_token")

    def __init__(self, value: T_co, /) -> None:
        self._find: Callable[[], T_co] = lambda: value
        self._token = ""

    def reveal(self) -> T_co:
        """Return the value. Raises `ChoochooError` where it is unknown in this run."""
        __tracebackhide__ = True
        return self._find()

    def __repr__(self) -> str:
        return _SHOWN

    def __format__(self, spec: str) -> str:
        return format(_SHOWN, spec)

    def __eq__(self, other: object) -> bool:
        __tracebackhide__ = True
        if not isinstance(other, Secret):
            return NotImplemented
        if self._token and other._token:  # the values may be unknown
            return _equal(self._token, other._token)
        return _equal(self.reveal(), other.reveal())

    def __hash__(self) -> int:
        return hash(Secret)  # the same for all secrets, so that it reveals nothing about the value

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "cannot pickle a Secret: it would be stored in plain text; pass secret.reveal() instead"
        )


def from_token(token: str, find: Callable[[], Any]) -> Secret[Any]:
    """Return the secret that *token* stands for, whose value *find* returns."""
    secret: Secret[Any] = Secret(None)
    secret._find, secret._token = find, token
    return secret


def token_of(secret: Secret[Any]) -> str:
    """Return the token that stands for *secret* in a record, "" if it has never been in one."""
    return secret._token


def _equal(one: object, other: object) -> bool:
    __tracebackhide__ = True
    from hmac import compare_digest  # here, since most runs compare no secrets

    match one, other:
        case (str(), str()):
            return compare_digest(_bytes(one), _bytes(other))
        case (bytes() | bytearray(), bytes() | bytearray()):
            return compare_digest(one, other)
    return one == other


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _strings(kept: str) -> Iterator[str]:
    """Yield the strings in a secret that is *kept*: its JSON, and the paths of secrets in that."""
    pending = [msgspec.json.decode(msgspec.json.decode(kept)[0])]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            pending += [*part, *part.values()]
        elif isinstance(part, list):
            pending += part
        elif isinstance(part, str) and part and not TOKEN.fullmatch(part):
            yield part


class SecretStore:
    """The secrets of a run as text, by their tokens: in memory, and nowhere else.

    *key* returns the key of the tokens' digests. *texts* holds the secrets, if other
    processes share them.
    """

    def __init__(
        self,
        key: Callable[[], bytes] = lambda: os.urandom(32),
        texts: dict[str, str] | None = None,
    ) -> None:
        self._find_key = key
        self._texts = {} if texts is None else texts

    @cached_property
    def key(self) -> bytes:
        """The key that the digests in tokens are made with."""
        return self._find_key() or os.urandom(32)  # a session that records nothing may have none

    def keep(self, token: str, text: str) -> None:
        """Keep the *text* of the secret that *token* stands for."""
        self._texts[token] = text

    def hidden(self, text: str) -> str:
        """Return *text* with `***` in place of each string that is a secret, or in one."""
        return self.hider()(text)

    def hider(self) -> Callable[[str], str]:
        """Return a function like `hidden`, for many texts; it hides the secrets of this moment."""
        found = {each for kept in [*self._texts.values()] for each in _strings(kept)}
        longest_first = sorted(found, key=len, reverse=True)

        def hide(text: str) -> str:
            for each in longest_first:
                text = text.replace(each, _SHOWN)
            return text

        return hide

    def find(self, token: str) -> str | None:
        """Return the text that *token* stands for, None where it is unknown."""
        try:
            return self._texts[token]
        except KeyError:
            return None
