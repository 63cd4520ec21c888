"""One HTTP session to one origin, and its parts: bounded bodies, errors in words, tokens, pace, trust, pages.

Knows nothing of devices, alerts or OCSF.
"""
