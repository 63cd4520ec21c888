"""Simulated vendor consoles: as strict as the real ones, on loopback, with a fleet that tests can change.

One module a vendor. Each is a `Console` that answers from one or more `Collection`s.
"""
