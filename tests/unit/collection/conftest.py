"""A project that pytest has collected in this process: real items, none of which is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from textwrap import dedent
from typing import TypeAlias

import pytest
from harness import OPTIONAL

from pytest_choochoo import plugin
from pytest_choochoo.collection.dependencies import Dependencies, Dependency
from pytest_choochoo.collection.files import StationFiles
from pytest_choochoo.collection.hooks import CollectionHooks
from pytest_choochoo.engine.errors import ChoochooError

HEADER = "import pytest\nfrom pytest_choochoo import station\n\n"


class Collected:
    """The items of a project by name, its station files, and the dependencies between them."""

    def __init__(self, session: pytest.Session, files: StationFiles) -> None:
        collectors = session.perform_collect(genitems=False)
        found = [item for collector in collectors for item in session.genitems(collector)]
        self.session = session
        self.files = files
        #: The node ids of the items that pytest found, and of those added later.
        self.found = tuple(item.nodeid for item in found)
        files.add_imported_stations(session, found)
        self.selected = tuple(item.nodeid for item in found)
        files.collect_missing(session)
        self.registry = files.registry
        self.dependencies = Dependencies(files.registry)
        functions = [item for item in found if isinstance(item, pytest.Function)]
        self._items = {item.nodeid: item for item in functions} | dict(self.registry.items)

    def __getitem__(self, name: str) -> pytest.Function:
        """Return the item called *name*, which is a node id where names are not unique."""
        [item] = [
            item for key, item in self._items.items() if key == name or key.endswith(f"::{name}")
        ]
        return item

    def upstream(self, name: str) -> tuple[str, ...]:
        """Return the names of the stations that the item *name* requests."""
        return self._names(self.dependencies.upstream_of(self[name]))

    def route(self, name: str) -> tuple[str, ...]:
        """Return the names of the stations that the station *name* waits for on the route."""
        return self._names(self.dependencies.route().upstream[self[name].nodeid])

    def dependency(self, name: str, on: str) -> Dependency:
        """Return the dependency of the item *name* on the station that it requests as *on*."""
        [found] = self.dependencies.requested_by(self[name], [on])
        return found

    def faults(self) -> tuple[ChoochooError, ...]:
        """Return all faults, those of the route included."""
        self.dependencies.route()
        return self.registry.faults + self.dependencies.faults

    def _names(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(key.partition("::")[2] for key in keys)


Collect: TypeAlias = Callable[..., Collected]


@pytest.fixture
def collect(pytester: pytest.Pytester) -> Collect:
    """Write files, by path and source, and let pytest collect them with *arguments*."""

    def collect(files: Mapping[str, str], *arguments: str, mode: str = "--cc-run") -> Collected:
        for path, source in {"pytest.ini": "[pytest]\n", **files}.items():
            file = pytester.path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            header = HEADER if path.endswith(".py") else ""
            file.write_text(header + dedent(source))
        without = [f"-pno:{plugin}" for plugin in OPTIONAL.values()]
        config = pytester.parseconfigure(*filter(None, [*without, mode, *arguments]))
        session = pytest.Session.from_config(config)
        # Without our hook, which would select and order the items.
        start = config.pluginmanager.subset_hook_caller("pytest_sessionstart", [plugin])
        start(session=session)
        [hooks] = [
            each for each in config.pluginmanager.get_plugins() if isinstance(each, CollectionHooks)
        ]
        return Collected(session, hooks.files)

    return collect
