"""Plugins that look at items that need not be run: at their phases, or at their reports."""

from __future__ import annotations

import pytest

# The hooks that are called for an item that is run, and not for one that is only reported.
_HOOKS = (
    "pytest_runtest_protocol",
    "pytest_runtest_setup",
    "pytest_runtest_call",
    "pytest_runtest_teardown",
    "pytest_runtest_makereport",
)
# The packages whose hooks miss nothing where an item is only reported: they act on what is run, and
# report nothing, or their reports were tried out without it.
_MISS_NOTHING = frozenset(
    {
        "_hypothesis_pytestplugin",
        "_pytest",
        "anyio",
        "pytest_asyncio",
        "pytest_check",
        "pytest_choochoo",
        "pytest_cov",
        "pytest_html",
        "pytest_instafail",
        "pytest_metadata",
        "pytest_mock",
        "pytest_randomly",
        "pytest_repeat",
        "pytest_rerunfailures",
        "pytest_timeout",
        "xdist",
    }
)


def is_watched(config: pytest.Config) -> bool:
    """Return whether a plugin may look at the phases of items that need not be run."""
    return any(_has_others(config, name) for name in _HOOKS)


def is_heard(config: pytest.Config) -> bool:
    """Return whether a plugin may need the reports of all phases of such items."""
    return _has_others(config, "pytest_runtest_logreport")


def _has_others(config: pytest.Config, name: str) -> bool:
    """Return whether others than those that miss nothing implement the hook *name*."""
    return any(
        getattr(each.function, "__module__", "").partition(".")[0] not in _MISS_NOTHING
        for each in getattr(config.hook, name).get_hookimpls()
    )
