"""The common library of the modules: its rooms are listed, lowest first, in docs/architecture.md.

Names no vendor. A room imports only rooms below it.
"""
