"""Entry of the module's container: `python main.py <command>`."""

import os
import signal

# The platform stops a container with SIGTERM at any moment, also while the imports below still run (a second or so).
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

from sentinelone_assets.connector import SentinelOneDeviceChanges, SentinelOneDeviceConnector
from sentinelone_assets.settings import SentinelOneModule
from sentinelone_assets.validator import SentinelOneAccountValidator

if __name__ == "__main__":
    module = SentinelOneModule()
    module.register(SentinelOneDeviceConnector, "sentinelone_device_assets_connector")
    module.register(SentinelOneDeviceChanges, "sentinelone_device_changes")
    module.register_account_validator(SentinelOneAccountValidator)
    module.run()
