"""Shared test set-up."""

import pytest

pytest.register_assert_rewrite("tests.conformance", "tests.rig")
