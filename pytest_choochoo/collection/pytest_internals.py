"""The private parts of pytest that are used, in a function each, with the reason."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Self, TypeGuard

import pytest


def rewritten_cache(file: Path) -> Path:
    """Return where pytest keeps the byte code of *file* with its asserts rewritten.

    Its name is nowhere public. A wrong one would only mean that stale byte code is not found.
    """
    plain = Path(importlib.util.cache_from_source(str(file), optimization=""))
    suffix = "c" if __debug__ else "o"
    return plain.with_name(f"{plain.stem}-pytest-{pytest.__version__}.py{suffix}")


def definitions_of(item: pytest.Function) -> Mapping[str, Sequence[pytest.FixtureDef[Any]]]:
    """Return by name the fixtures that *item* may request, the nearest one last.

    The public `fixturenames` has the names alone, neither the definitions that they
    resolve to nor the requests of these in turn.
    """
    return item._fixtureinfo.name2fixturedefs


def fixture_names(item: pytest.Function) -> Sequence[str]:
    """Return the names of all fixtures that *item* could request.

    Pytest lists them in its own error about a missing fixture, and nowhere else.
    """
    manager = item.session._fixturemanager
    tables = ("_arg2node2fixturedefs", "_arg2nodeid2fixturedefs", "_arg2fixturedefs")
    names = dict.fromkeys(name for table in tables for name in getattr(manager, table, ()))
    return [name for name in names if manager.getfixturedefs(name, item)]


def correct_counts(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Let the terminal count what is run: *items*, of which others deselected some before.

    It counts items as they are collected and deselected. There is no hook for items that
    join a selection, and the number of all is in a private attribute.
    """
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not hasattr(reporter, "_numcollected"):
        return
    selected = {item.nodeid for item in items}
    deselected = reporter.stats.pop("deselected", [])
    if left := [item for item in deselected if item.nodeid not in selected]:
        reporter.stats["deselected"] = left
    reporter._numcollected = max(reporter._numcollected, len(items) + len(left))


def debug(function: Callable[..., Any], arguments: Mapping[str, Any]) -> object:
    """Call *function* in pytest's debugger, which stops at its first line; return its value.

    Pytest has --trace for the function of an item, of which it drops the value. That of a
    station is ours, and calls the user's. Only the method of pytest's debugger is public.
    """
    debugger = getattr(pytest.set_trace, "__self__")._init_pdb("runcall")  # noqa: B009 - no attribute of its type
    value: object = debugger.runcall(function, **arguments)
    return value


def take_tracer(config: pytest.Config) -> Any:
    """Unregister the plugin of --trace, and return it, None where there is none.

    Its hook stops at the function of every item. Pytest promises no name of it.
    """
    return config.pluginmanager.unregister(name="pdbtrace")


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


def copy_for_each_request(definition: pytest.FixtureDef[Any]) -> None:
    """Let the fixture *definition*, which was set up, give a new copy to each request.

    A consumer that alters what it received must not affect the next one. The fixture of a
    station is cached for the session, and there is no public way to make it return a second
    copy.
    """
    if definition.cached_result is not None:
        definition.cached_result = _Copies(definition)


class _Copies(tuple[Any, ...]):
    """A fixture's cached result, value first: each access to the value makes a copy."""

    def __new__(cls, definition: pytest.FixtureDef[Any]) -> Self:
        copies = super().__new__(cls, definition.cached_result or ())
        copies._provider = definition.func
        return copies

    def __getitem__(self, index: Any) -> Any:
        is_good = index == 0 and super().__getitem__(2) is None
        return self._provider() if is_good else super().__getitem__(index)

    _provider: Any


def forget_fixture_error(definition: pytest.FixtureDef[Any]) -> None:
    """Let the fixture *definition*, whose set-up failed, be set up again when it is requested.

    Pytest keeps the error for as long as the fixture lasts, and raises it again. Where the key
    of what it keeps is another one, it finishes the fixture first.
    """
    definition.cached_result = (None, object(), None)


def finish_fixture(definition: pytest.FixtureDef[Any], request: Any) -> None:
    """Tear down the fixture *definition*, which was set up for *request*.

    Pytest finishes a fixture at the end of its scope, and has no public way to do so
    before. The class of the *request* that it takes has no public name.
    """
    definition.finish(request)


def report_pass_to_tmp_path(item: pytest.Item) -> None:
    """Report to the fixture `tmp_path`, which insists on it, that nothing has failed so far.

    Pytest does so at the end of a phase; here the phase is still going on, so that no
    other plugin may hear of it. Pytest promises neither of the two plugins' names.
    """
    manager = item.config.pluginmanager
    others = [
        plugin
        for name, plugin in manager.list_name_plugin()
        if plugin is not None and name not in {"runner", "tmpdir"}
    ]
    make_report = manager.subset_hook_caller("pytest_runtest_makereport", others)
    make_report(item=item, call=pytest.CallInfo.from_call(lambda: None, when="setup"))


def call_of_collection(report: pytest.CollectReport) -> pytest.CallInfo[Any] | None:
    """Take the call that *report* of a collector is about off it.

    Pytest leaves it there between making a report and calling `pytest_exception_interact`.
    """
    call: pytest.CallInfo[Any] | None = vars(report).pop("call", None)
    return call


def replace_call(report: pytest.CollectReport, error: BaseException) -> None:
    """Let the call that *report* of a collector is about be one that raised *error*."""

    def work() -> None:
        raise error

    vars(report)["call"] = pytest.CallInfo.from_call(work, when="collect")


def collect_whole(module: pytest.Module) -> pytest.CollectReport:
    """Collect *module* even where --lf would leave it out, and return the report.

    --lf leaves out files without failures by a plugin that it registers under a name,
    and has no option for those that are needed nevertheless.
    """
    manager = module.config.pluginmanager
    skipper = manager.get_plugin("lfplugin-collskip")
    make_report = manager.subset_hook_caller(
        "pytest_make_collect_report", [] if skipper is None else [skipper]
    )
    report: pytest.CollectReport = make_report(collector=module)
    return report


def capturing(item: pytest.Item, when: str) -> AbstractContextManager[None]:
    """Return a context whose output becomes a section of *item*'s report on the phase *when*.

    Pytest captures around its own hooks for items, which a settled item does not go through.
    """
    capture = item.config.pluginmanager.get_plugin("capturemanager")
    if capture is None:
        return nullcontext()
    context: AbstractContextManager[None] = capture.item_capture(when, item)
    return context
