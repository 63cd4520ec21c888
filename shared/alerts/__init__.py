"""When alerts are read, in closed windows of time, and their delivery to the intake.

A vendor's connector adds its client and its table.
"""
