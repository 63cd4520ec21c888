"""One HTTP session to one origin, and what it needs: bounded bodies, replies in words, tokens, pace, trust, pages.

Knows nothing of devices, alerts or OCSF.
"""
