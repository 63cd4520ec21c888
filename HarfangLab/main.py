"""Entry of the module's container: `python main.py <command>`."""

import os
import signal

# The platform stops a container with SIGTERM at any moment, also while the imports below still run (a second or so).
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

from harfanglab_assets.connector import HarfangLabDeviceChanges, HarfangLabDeviceConnector
from harfanglab_assets.settings import HarfangLabModule
from harfanglab_assets.validator import HarfangLabAccountValidator

if __name__ == "__main__":
    module = HarfangLabModule()
    module.register(HarfangLabDeviceConnector, "harfanglab_asset_connector")
    module.register(HarfangLabDeviceChanges, "harfanglab_device_changes")
    module.register_account_validator(HarfangLabAccountValidator)
    module.run()
