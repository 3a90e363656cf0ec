"""Progress is counted in numbers."""

from pytest_choochoo import Visit, station


@station
def download(visit: Visit) -> None:
    with visit.progress(total=2) as progress:
        progress.update("half")  # error: mypy arg-type, pyright reportArgumentType
