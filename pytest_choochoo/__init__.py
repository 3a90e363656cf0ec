"""Workflows as test-like checks: the front door."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_choochoo.railway.errors import ChoochooError
    from pytest_choochoo.railway.opening import open_ledger
    from pytest_choochoo.railway.place import Place
    from pytest_choochoo.railway.station import Station, station
    from pytest_choochoo.railway.visit import Visit

__all__ = ["ChoochooError", "Place", "Station", "Visit", "open_ledger", "station"]

_ROOMS = {
    "ChoochooError": "pytest_choochoo.railway.errors",
    "Place": "pytest_choochoo.railway.place",
    "Station": "pytest_choochoo.railway.station",
    "Visit": "pytest_choochoo.railway.visit",
    "open_ledger": "pytest_choochoo.railway.opening",
    "station": "pytest_choochoo.railway.station",
}


# Every run of pytest opens this door on its way to the plugin; only who asks for
# something behind it waits for that.
def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)
