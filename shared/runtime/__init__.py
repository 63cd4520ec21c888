"""A module's process: settings, start, loop, back-off, stop, logs, health, metrics.

Also the common part of the "Test connector" button.
"""
