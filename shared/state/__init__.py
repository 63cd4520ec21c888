"""What a connector remembers between rounds: files replaced atomically, on a disk or behind the SDK's S3 path.

Fingerprints say what was delivered of each device.
"""
