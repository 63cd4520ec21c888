"""What is filled in where a skeleton says TODO, for the console that it comes with: file → (what stands there, what then)."""

from __future__ import annotations

FILLED_IN: dict[str, list[tuple[str, str]]] = {
    "client.py": [
        (
            "import ApiSession\n",
            "import ApiSession\nfrom shared.times import iso\n",
        ),
        (
            """\
        query: dict[str, Any] = {}  # TODO: the filter for changes, and the order if one can be asked for
""",
            """\
        query: dict[str, Any] = {}
        if changed_since is not None:
            query["updatedSince"] = iso(changed_since)
""",
        ),
    ],
    "mapper.py": [
        (
            "from shared.mapping.ocsf import DEVICE_INVENTORY, event_time\nfrom shared.mapping.table import Field, const, first_string\n",
            """\
from shared.interfaces import clean_ip
from shared.mapping.conversions import Record
from shared.mapping.ocsf import DEVICE_INVENTORY, Coded, coded, device_type, event_time, os_named, os_type
from shared.mapping.table import Field, const, first_string, from_fields
""",
        ),
        (
            "\nENDPOINT_TO_DEVICE = (\n",
            '''\

_TYPES = {"server": "Server", "desktop": "Desktop", "laptop": "Desktop"}


def machine(endpoint: Record) -> Coded:
    """server → Server, desktop and laptop → Desktop, else Unknown."""
    return device_type(_TYPES.get(str(endpoint.get("kind")), "Unknown"))


def system(endpoint: Record) -> Coded:
    """What the system's name tells, else unknown."""
    return os_named(str(endpoint.get("os"))) or os_type("unknown")


ENDPOINT_TO_DEVICE = (
''',
        ),
        (
            "    # TODO: device.type and device.type_id, which OCSF requires, and all else that the vendor tells\n",
            """\
    *coded("device.type", from_fields("kind"), machine),
    Field("device.os.name", "os", doc="Name and version of the system"),
    *coded("device.os.type", from_fields("os"), system),
    Field("device.domain", "domain", doc="Directory domain"),
    Field("device.ip", "ip", clean_ip, doc="Primary address"),
""",
        ),
    ],
}
