"""The private attributes of pytest that the package uses, one function each, with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import pytest


def definitions_of(item: pytest.Function) -> Mapping[str, Sequence[pytest.FixtureDef[Any]]]:
    """Return by name the fixtures that *item* may request, the nearest one last.

    The public `fixturenames` has the names alone, neither the definitions that they
    resolve to nor the requests of these in turn.
    """
    return item._fixtureinfo.name2fixturedefs


def init_request(item: pytest.Function) -> None:
    """Give *item* a new fixture request, so that it can be set up again.

    Pytest makes the request together with the item, and it remembers the fixtures
    that were set up. Plugins that rerun tests call the same method: none is public.
    """
    item._initrequest()


def tear_down(session: pytest.Session, nextitem: pytest.Item | None) -> None:
    """Tear down all fixtures that *nextitem* does not share.

    The public way is the hook `pytest_runtest_teardown`. Its implementations in other
    plugins expect an item that was set up, and a settled station never is.
    """
    session._setupstate.teardown_exact(nextitem)


def is_python_module(node: object) -> TypeGuard[pytest.Module]:
    """Return whether *node* is a module that pytest searches for functions, not doctests.

    `DoctestModule` is a `pytest.Module` too, and has no public name.
    """
    kinds = (kind.__name__ for kind in type(node).__mro__)
    return isinstance(node, pytest.Module) and "DoctestModule" not in kinds
