"""What is filled in where a skeleton says TODO, for the console that it comes with: file → (what stands there, what then)."""

from __future__ import annotations

FILLED_IN: dict[str, list[tuple[str, str]]] = {
    "client.py": [
        (
            "import Page, Pages, follow\nfrom shared.http.selection import selection\n",
            "import Page, Pages, follow, next_position, records_of\nfrom shared.http.selection import selection\n",
        ),
        (
            "import ApiSession, Reply\n",
            "import ApiSession, Reply\nfrom shared.times import iso\n",
        ),
        (
            "\n        def ask(",
            """\
        query: dict[str, Any] = {"limit": self._page_size}
        if changed_since is not None:
            query["updatedSince"] = iso(changed_since)

        def ask(""",
        ),
        (
            '            raise NotImplementedError("TODO: the call for the page at `cursor` (None: the first)")\n',
            """\
            return self._session.ask("GET", ENDPOINTS, params=query if cursor is None else {**query, "cursor": cursor})
""",
        ),
        (
            '            raise NotImplementedError("TODO: the endpoints in `reply.json`")\n',
            """\
            return Page(records_of(self._session.who, reply.json, "items"), reply.date)
""",
        ),
        (
            '            raise NotImplementedError("TODO: the next page\'s cursor as `body` tells it; None at the end")\n',
            """\
            return next_position(self._session.who, body.get("next"))
""",
        ),
        ("self._parse)  # TODO: the name of the list", "self._parse)"),
    ],
    "mapper.py": [
        (
            "from shared.mapping.ocsf import DEVICE_INVENTORY, event_time\nfrom shared.mapping.table import Field, const, first\n",
            """\
from shared.interfaces import clean_ip
from shared.mapping.conversions import Record
from shared.mapping.ocsf import DEVICE_INVENTORY, Coded, coded, device_type, event_time, os_named, os_type
from shared.mapping.table import Field, const, first, record
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
    *coded("device.type", record("kind"), machine),
    Field("device.os.name", "os", doc="Name and version of the system"),
    *coded("device.os.type", record("os"), system),
    Field("device.domain", "domain", doc="Directory domain"),
    Field("device.ip", "ip", clean_ip, doc="Primary address"),
""",
        ),
    ],
}
