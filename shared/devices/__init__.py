"""When devices are read, one round over them, and their delivery to the asset inventory or to playbooks.

A vendor's connector adds its client and its table.
"""
