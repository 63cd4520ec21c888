"""`make audit`: known vulnerabilities of an image's packages, looked up by pip-audit.

pip-audit succeeds, and reports none, when its service knows none of the packages: here that counts as no answer.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = Path(__file__).resolve().parents[2] / "requirements-image.lock"
_COMMAND = "pip_audit --disable-pip --require-hashes --progress-spinner off --format json --requirement"
_NO_ANSWER = "ConnectionError"  # in the traceback that pip-audit ends with


def verdict(output: str, errors: str) -> tuple[int, str]:
    """The output of pip-audit → exit code and text: 0 when each package was looked up and none is affected, or when
    the vulnerability data could not be reached at all."""
    try:
        packages: list[dict[str, Any]] = json.loads(output)["dependencies"]
    except (ValueError, KeyError):
        return (0, _unreached()) if _NO_ANSWER in errors else (2, f"pip-audit failed:\n{errors}")
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    affected = [
        f"{package['name']} {package['version']}: {found['id']}, fixed in {', '.join(found['fix_versions']) or 'none'}"
        for package in packages
        for found in package.get("vulns", [])
    ]
    if affected:
        return 1, "\n".join(affected)
    if len(unknown) == len(packages):
        return 0, _unreached()
    if unknown:
        return 2, f"Not looked up, so nothing is known of: {', '.join(unknown)}"
    return 0, f"None of the {len(packages)} packages of {LOCK.name} has a known vulnerability."


def _unreached() -> str:
    return (
        f"NOT AUDITED: the vulnerability data cannot be reached from here, so nothing is known of {LOCK.name}. "
        "Run it again from a network that reaches it."
    )


def main() -> int:
    done = subprocess.run(  # noqa: S603 - no part of it comes from outside
        [sys.executable, "-m", *_COMMAND.split(), str(LOCK)], capture_output=True, text=True, check=False
    )
    code, words = verdict(done.stdout, done.stderr)
    sys.stderr.write(words + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
