"""The paths of secrets in the text of an outcome, and marks on their tokens while it is read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from pytest_choochoo.engine.ledger.record import SecretPath
from pytest_choochoo.engine.secrets import TOKEN, TOKEN_PREFIX

_DECODER = msgspec.json.Decoder()
_MARK = "secret!"
_WHOLE = re.compile(f'"{TOKEN.pattern}"'.encode())
_MARKED = re.compile(rf"{_MARK}+\d+:{TOKEN.pattern}")


def new_mark() -> str:
    """Return a mark for tokens while an outcome is encoded: nothing else in that begins with it."""
    return f"{os.urandom(16).hex()}:"


def without_mark(text: str, mark: str) -> tuple[str, tuple[SecretPath, ...] | None]:
    """Return *text*, an outcome, without *mark*, and the paths of the strings that have it.

    None stands for no paths where nothing in *text* looks like a token, as in most outcomes.
    """
    if mark not in text:
        return text, () if TOKEN_PREFIX in text else None
    return text.replace(mark, ""), tuple(_paths(_DECODER.decode(text), mark))


def _paths(plain: object, mark: str, above: SecretPath = ()) -> Iterator[SecretPath]:
    """Yield the path of each string in *plain* that has *mark*; a last None means a key itself."""
    if isinstance(plain, str):
        if plain.startswith(mark):
            yield above
    elif isinstance(plain, list):
        for index, each in enumerate(plain):
            yield from _paths(each, mark, (*above, index))
    elif isinstance(plain, dict):
        for key, each in plain.items():
            path = *above, key.removeprefix(mark)
            yield from _paths(key, mark, (*path, None))
            yield from _paths(each, mark, path)


def tokens_at(text: str, paths: Sequence[SecretPath] | None) -> list[str]:
    """Return the tokens in *text* that stand for secrets: those at *paths*, for None all.

    Where a path leads to no token, as only in a record that was tampered with, there is none.
    """
    if paths is None:
        return TOKEN.findall(text)
    try:
        whole = [_DECODER.decode(text)] if paths else []
        found = [_string_at(whole, path) for path in paths]
    except (ValueError, LookupError, TypeError, RecursionError):
        return []
    return [each for each in found if TOKEN.fullmatch(each)]


def _string_at(whole: list[Any], path: SecretPath) -> str:
    """Return the string at *path* in *whole*, a list of the outcome. Raises `LookupError`."""
    *way, last = 0, *path
    holder = _holder(whole, way[:-1] if last is None else way)
    found = way[-1] if last is None else holder[last]
    if not isinstance(found, str) or (last is None and found not in holder):
        raise LookupError(found)
    return found


def _holder(whole: Any, way: Sequence[str | int | None]) -> Any:
    for step in way:
        whole = whole[step]
    return whole


class MarkedText:
    """The *text* of one outcome for a decoder, which knows by marks what stands for a secret.

    That is what is at *paths*; None: every token. Raises `ValueError` where a path leads nowhere.
    """

    def __init__(self, text: str, paths: Sequence[SecretPath] | None) -> None:
        self.text = text
        self._mark = ""
        self._unread: set[str] = set()
        self._counts_all = paths is None
        if paths:
            self._mark_all(paths)

    def _mark_all(self, paths: Sequence[SecretPath]) -> None:
        self._mark = _MARK
        while self._mark in self.text:
            self._mark += "!"
        whole = [_DECODER.decode(self.text)]
        # Keys last, the innermost first: the way to others leads through them.
        ordered = sorted(paths, key=lambda path: (path[-1:] == (None,), -len(path)))
        for number, path in enumerate(ordered):
            try:
                token = _string_at(whole, path)
                if not TOKEN.fullmatch(token):
                    raise LookupError(token)
                marked = f"{self._mark}{number}:{token}"
                _replace(whole, path, marked)
            except (LookupError, TypeError):
                raise ValueError("a `Secret` is not where it was recorded") from None
            self._unread.add(marked)
        self.text = msgspec.json.encode(whole[0]).decode()

    def token(self, plain: object) -> str | None:
        """Return the token that *plain* is, None if it does not stand for a secret."""
        if not isinstance(plain, str):
            return None
        if self._counts_all:
            return plain if TOKEN.fullmatch(plain) else None
        if not self._mark or not plain.startswith(self._mark):
            return None
        self._unread.discard(plain)
        token = plain.removeprefix(self._mark).partition(":")[2]
        return token if TOKEN.fullmatch(token) else None

    def without_marks(self, plain: Any) -> Any:
        """Return *plain*, a part of the outcome, with the tokens as they are in the record."""
        if isinstance(plain, list):
            return [self.without_marks(each) for each in plain]
        if isinstance(plain, dict):
            return {self.without_marks(key): self.without_marks(plain[key]) for key in plain}
        return self.token(plain) or plain

    def require_all_read(self) -> None:
        """Raise `ValueError` if the value of a secret was taken for a plain string."""
        if self._unread:
            raise ValueError("it has a `Secret` where none is expected")


def _replace(whole: list[Any], path: SecretPath, string: str) -> None:
    """Put *string* at *path* in *whole*, a list of the outcome, in the order that it has."""
    *way, last = 0, *path
    if last is not None:
        _holder(whole, way)[last] = string
        return
    *way, key = way
    holder = _holder(whole, way)
    pairs = [(string if each == key else each, holder[each]) for each in holder]
    holder.clear()
    holder.update(pairs)


def has_whole_token(content: bytes) -> bool:
    """Return whether a string in *content*, which is JSON, is a token without a mark."""
    return _WHOLE.search(content) is not None


def unmarked(message: str) -> str:
    """Return *message*, an error about a marked text, without the marks and their tokens."""
    return _MARKED.sub("***", message)
