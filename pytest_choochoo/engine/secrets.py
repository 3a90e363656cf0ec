"""A value that shows itself to nobody, and the safe that has it while a run lasts."""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import blake2b
from hmac import compare_digest
from secrets import token_bytes
from typing import Any, Generic, NoReturn, Self, TypeVar, final

from pytest_choochoo.engine.errors import ChoochooError

T_co = TypeVar("T_co", covariant=True)

#: What stands in a record for a secret: a digest that cannot be guessed without the key.
TOKEN_PREFIX = "choochoo.secret:"
TOKEN = re.compile(rf"{re.escape(TOKEN_PREFIX)}[0-9a-f]{{32}}")
_SHOWN = "***"


class SecretNotKept(ChoochooError):
    name: str

    def __str__(self) -> str:
        return (
            f"the secret in the outcome of station {self.name!r} is not known in this run: it is "
            "never written down; 'pytest --cc-run' visits the station again for who needs it, "
            "and what a clean needs is to be kept in visit.resources"
        )


@final
class Secret(Generic[T_co]):
    """A value inside an outcome that is shown as `***` and never written down.

    `reveal()` returns it. What is revealed is a value like any other: shown by
    an assert that fails, written by who writes it.
    """

    # The value itself is in a closure: who lists attributes does not come upon it.
    __slots__ = ("_find", "_token")

    def __init__(self, value: T_co, /) -> None:
        self._find: Callable[[], T_co] = lambda: value
        self._token = ""

    def reveal(self) -> T_co:
        """Return the value. Raises `ChoochooError` where it is not known in this run."""
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
        if self._token and other._token:  # the values need not be known
            return compare_digest(self._token, other._token)
        return _equal(self.reveal(), other.reveal())

    def __hash__(self) -> int:
        return hash(Secret)  # one for all of them: it says nothing about the value

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled, which would write it in clear; pass on reveal()")


def from_token(token: str, find: Callable[[], Any]) -> Secret[Any]:
    """Return the secret that *token* stands for, whose value *find* returns."""
    secret: Secret[Any] = Secret(None)
    secret._find, secret._token = find, token
    return secret


def token_of(secret: Secret[Any]) -> str:
    """Return what stands for *secret* in a record, nothing where it was in none."""
    return secret._token


def _equal(one: object, other: object) -> bool:
    __tracebackhide__ = True
    match one, other:
        case (str(), str()):
            return compare_digest(_bytes(one), _bytes(other))
        case (bytes() | bytearray(), bytes() | bytearray()):
            return compare_digest(one, other)
    return one == other


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


class SecretStore:
    """The texts of secrets by their tokens: in memory, and nowhere else.

    *key* returns what tokens are made with; *texts* is where they are, if not
    in this process alone.
    """

    def __init__(
        self,
        key: Callable[[], bytes] = lambda: token_bytes(32),
        texts: dict[str, str] | None = None,
    ) -> None:
        self._new_key = key
        self._key = b""
        self._texts = {} if texts is None else texts

    def keep(self, text: str, digest: str) -> str:
        """Keep the *text* of a value, whose digest is *digest*; return its token."""
        self._key = self._key or self._new_key()
        keyed = blake2b(digest.encode(), key=self._key, digest_size=16)
        token = f"{TOKEN_PREFIX}{keyed.hexdigest()}"
        self._texts[token] = text
        return token

    def find(self, token: str) -> str | None:
        """Return the text that *token* stands for, None where it is not known."""
        try:
            return self._texts[token]
        except KeyError:
            return None

    def lacks(self, text: str) -> bool:
        """Say whether *text*, an outcome's, has a token of what is not known."""
        return any(self.find(token) is None for token in TOKEN.findall(text))
