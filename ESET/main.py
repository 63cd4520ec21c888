"""Entry of the module's container: `python main.py <command>`."""

import os
import signal

# The platform stops a container with SIGTERM at any moment, also while the imports below still run (a second or so).
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

from eset_assets.connector import EsetDeviceChanges, EsetDeviceConnector
from eset_assets.settings import EsetModule
from eset_assets.validator import EsetAccountValidator

if __name__ == "__main__":
    module = EsetModule()
    module.register(EsetDeviceConnector, "eset_device_assets_connector")
    module.register(EsetDeviceChanges, "eset_device_changes")
    module.register_account_validator(EsetAccountValidator)
    module.run()
