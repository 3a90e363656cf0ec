"""Calls of the hooks that other plugins implement, and what becomes of their errors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pytest_choochoo.engine.errors import HookFailed, error_line


def call_hook(config: pytest.Config, name: str, **facts: Any) -> None:
    """Call the hook *name*. Raises `HookFailed`, with the plugin's name, for what it raises."""
    hook = getattr(config.hook, name)
    try:
        hook(config=config, **facts)
    except Exception as error:
        plugins = {
            getattr(each.function, "__code__", None): each.plugin_name
            for each in hook.get_hookimpls()
        }
        plugin, place, traceback = "?", "?", error.__traceback__
        while traceback is not None:
            code = traceback.tb_frame.f_code
            plugin = plugins.get(code, plugin)
            place = f"{_shown(code.co_filename)}:{traceback.tb_lineno}"
            traceback = traceback.tb_next
        raise HookFailed(_shown(plugin), name, error_line(error), place) from error


def _shown(name: str) -> str:
    """Return *name*, relative to the working directory if it is a path below it."""
    path, here = Path(name), Path(os.path.abspath("."))
    return str(path.relative_to(here)) if path.is_relative_to(here) else name
