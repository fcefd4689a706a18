"""Old names, put back for the rest of the process."""

from __future__ import annotations

import pytest

from headway import legacy


@pytest.fixture(scope="session", autouse=True)
def installed() -> None:
    """Puts the old names into TensorFlow."""
    legacy.install()
