"""Calls of the hooks that other plugins implement, and what becomes of their errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_choochoo.engine.digest import relative
from pytest_choochoo.engine.errors import HookFailed, error_line


def call_hook(config: pytest.Config, name: str, **facts: Any) -> None:
    """Call the hook *name*. Raises `HookFailed`, with the plugin's name, for what it raises."""
    hook = getattr(config.hook, name)
    if not hook.get_hookimpls():
        return
    try:
        hook(config=config, **facts)
    except Exception as error:
        plugins = {
            getattr(each.function, "__code__", None): each.plugin_name
            for each in hook.get_hookimpls()
        }
        plugin, place, traceback = "?", "?", error.__traceback__
        here = Path.cwd()
        while traceback is not None:
            code = traceback.tb_frame.f_code
            plugin = plugins.get(code, plugin)
            place = f"{relative(Path(code.co_filename), here)}:{traceback.tb_lineno}"
            traceback = traceback.tb_next
        # A conftest is registered by its path.
        plugin = relative(Path(plugin), here)
        raise HookFailed(plugin, name, error_line(error), place) from error
