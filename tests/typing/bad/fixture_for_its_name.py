"""Values are given as names of fixtures, not as fixtures."""

import pytest

from pytest_choochoo import station


@pytest.fixture
def port() -> int:
    return 80


@station(values=[port])  # error: mypy list-item, pyright reportArgumentType
def serve(port: int) -> int:
    return port
