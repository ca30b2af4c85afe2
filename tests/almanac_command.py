"""The installed command, and what it inherits from whoever runs the tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ALMANAC = Path(sys.executable).with_name("almanac")


def environment(**own: str) -> dict[str, str]:
    """The variables of the tests' own process, none of its settings of almanac, and `own`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ALMANAC_")}
    return inherited | own
