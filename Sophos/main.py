"""Entry of the module's container: `python main.py <command>`."""

import os
import signal

# The platform stops a container with SIGTERM at any moment, also while the imports below still run (a second or so).
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

from sophos_assets.connector import SophosDeviceChanges, SophosDeviceConnector
from sophos_assets.settings import SophosModule
from sophos_assets.validator import SophosAccountValidator

if __name__ == "__main__":
    module = SophosModule()
    module.register(SophosDeviceConnector, "sophos_device_assets_connector")
    module.register(SophosDeviceChanges, "sophos_device_changes")
    module.register_account_validator(SophosAccountValidator)
    module.run()
