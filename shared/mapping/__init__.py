"""The mapping table, which runs, documents and fingerprints itself.

Also what all device events have in common in OCSF.
"""
