"""The browser of these tests; without one they are skipped, and say so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.chromium import COMMAND, Chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Chromium]:
    if COMMAND is None:
        # Nothing but git, make and python3 may be needed for the tests; CI installs it.
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with Chromium() as browser:
        yield browser
