"""The local platform, and what its server and the consoles are made of: HTTP, faults, remembered calls."""
