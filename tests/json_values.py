"""Any JSON value for a vendor's field: strategies that the property tests share."""

from __future__ import annotations

from hypothesis import strategies as st

whole = st.integers(-(2**63), 2**64 - 1)
numbers = whole | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | st.text()
