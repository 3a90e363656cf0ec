"""The settings of property tests: the same everywhere, without files left behind."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import configuration, settings

# A failure in CI must be repeatable locally, and a busy machine must not cause one.
settings.register_profile("unit", derandomize=True, database=None, deadline=None)
settings.load_profile("unit")
configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "hypothesis")
