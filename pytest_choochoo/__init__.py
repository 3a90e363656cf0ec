"""Resumable, verifiable workflows, written as pytest tests: the public names.

Without `PYTEST_DONT_REWRITE` here, pytest would warn if this was imported before it started.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pytest_choochoo.rewriting import keep_modules_plain

if TYPE_CHECKING:
    from pytest_choochoo.engine.errors import ChoochooError
    from pytest_choochoo.engine.ledger.location import LedgerLocation
    from pytest_choochoo.engine.ledger.opening import open_ledger
    from pytest_choochoo.engine.secrets import Secret
    from pytest_choochoo.engine.station import Station, station
    from pytest_choochoo.engine.visit import Visit

__all__ = [
    "ChoochooError",
    "LedgerLocation",
    "Secret",
    "Station",
    "Visit",
    "open_ledger",
    "station",
]

_ROOMS = {
    "ChoochooError": "pytest_choochoo.engine.errors",
    "LedgerLocation": "pytest_choochoo.engine.ledger.location",
    "Secret": "pytest_choochoo.engine.secrets",
    "Station": "pytest_choochoo.engine.station",
    "Visit": "pytest_choochoo.engine.visit",
    "open_ledger": "pytest_choochoo.engine.ledger.opening",
    "station": "pytest_choochoo.engine.station",
}

# Before pytest imports any other module of the package.
keep_modules_plain()


# Every run of pytest imports this file on its way to the plugin, and most runs need none of
# these names: each module is imported when one of its names is asked for.
def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)
