"""The text that takes the place of a TODO in a skeleton, for the console that it comes with: file → (old, new).

Each TODO here is one that the skeleton leaves to whoever adds the vendor: its text is found by it.
"""

from __future__ import annotations

Changes = dict[str, list[tuple[str, str]]]

_CHANGES_SINCE: Changes = {
    "client.py": [
        ("import ApiSession\n", "import ApiSession\nfrom shared.times import iso\n"),
        (
            "  # TODO: the filter for changes, and the order if one can be asked for\n",
            '\n        if changed_since is not None:\n            query["updatedSince"] = iso(changed_since)\n',
        ),
    ]
}
_TABLE: Changes = {
    "mapper.py": [
        (
            "from shared.mapping.ocsf import DEVICE_INVENTORY, event_time\nfrom shared.mapping.table import Field, const, first_string\n",
            """\
from shared.interfaces import clean_ip
from shared.mapping.conversions import Record, unless_placeholder
from shared.mapping.ocsf import DEVICE_INVENTORY, Coded, coded, device_type, event_time, os_named, os_type
from shared.mapping.table import Field, const, first_string, from_fields
""",
        ),
        (
            "\nDEVICE_TO_DEVICE = (\n",
            '''\

_TYPES = {"server": "Server", "desktop": "Desktop", "laptop": "Desktop"}


def machine(device: Record) -> Coded:
    """server → Server, desktop and laptop → Desktop, else Unknown."""
    return device_type(_TYPES.get(str(device.get("kind")), "Unknown"))


def system(device: Record) -> Coded:
    """By the name of the system, else unknown."""
    return os_named(str(device.get("os"))) or os_type("unknown")


DEVICE_TO_DEVICE = (
''',
        ),
        (
            "    # TODO: device.type and device.type_id, which OCSF requires, and all else that the vendor reports: docs/ocsf-device.md\n",
            """\
    *coded("device.type", from_fields("kind"), machine),
    Field("device.os.name", "os", unless_placeholder, doc="Name and version of the system"),
    *coded("device.os.type", from_fields("os"), system),
    Field("device.domain", "domain", unless_placeholder, doc="Directory domain"),
    Field("device.ip", "ip", clean_ip, doc="Primary address"),
""",
        ),
    ],
}
_ALERTS: Changes = {
    "client.py": [
        ("import ApiSession\n", "import ApiSession\nfrom shared.times import iso\n"),
        (
            "query: dict[str, str] = {}  # TODO: the filter for both bounds\n",
            'query = {"updatedFrom": iso(since), "updatedUntil": iso(until)}\n',
        ),
    ],
    "mapper.py": [
        (
            "    # TODO: all else that the vendor reports\n",
            '    Field("event.reason", "title", doc="What happened"),\n    Field("log.level", "severity", doc="Severity"),\n',
        ),
    ],
}
FILLED_IN: dict[str, Changes] = {
    "--paging body": _CHANGES_SINCE | _TABLE,
    "--paging link": _CHANGES_SINCE | _TABLE,
    "--paging offset": _TABLE,
    "--alerts": _ALERTS,
    "--alerts --paging offset": _ALERTS,
}
"""Options of `new-vendor` → what is filled in then."""
