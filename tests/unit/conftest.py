"""How the property tests are run: alike everywhere, leaving nothing behind."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import configuration, settings

# What failed in CI must fail at the desk; and other work on the machine is no failure.
settings.register_profile("unit", derandomize=True, database=None, deadline=None)
settings.load_profile("unit")
configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "hypothesis")
