"""The local platform, and the parts of its server and of the consoles: HTTP, faults, remembered calls."""
