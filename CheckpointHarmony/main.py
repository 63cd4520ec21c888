"""Entry of the module's container: `python main.py <command>`."""

import os
import signal

# The platform stops a container with SIGTERM at any moment, also while the imports below still run (a second or so).
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

from checkpoint_harmony.connector import HarmonyMobileConnector
from checkpoint_harmony.settings import HarmonyMobileModule
from checkpoint_harmony.validator import HarmonyMobileAccountValidator

if __name__ == "__main__":
    module = HarmonyMobileModule()
    module.register(HarmonyMobileConnector, "checkpoint_harmony_mobile")
    module.register_account_validator(HarmonyMobileAccountValidator)
    module.run()
