"""ESET Connect: devices and device groups of the device-management API v1, and the login they need.

An answer that is not ready within ESET's 30 s comes as an empty HTTP 202 with the header `response-id`; that header, sent
with the identical call, fetches it. This holds for the token too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic import SecretStr
from pyrate_limiter import Duration, RequestRate

from shared.errors import ConnectorError
from shared.http.deferred import call_deferred
from shared.http.oauth import PasswordGrant
from shared.http.pages import Listing, Pages, PageSize, collect, follow
from shared.http.paging import by_field
from shared.http.selection import selection
from shared.http.session import ApiSession
from shared.http.tokens import FetchedToken
from shared.mapping.conversions import to_string
from shared.state.storage import JsonFile

PARENT_GROUP = "parentGroupUuid → deviceGroups"  # put into the devices; no key of ESET's looks like this
HEADERS = {"3rd-integration": "Sekoia.io"}  # the integrations that ESET sanctions name themselves so, on every call
RATES = (RequestRate(10, Duration.SECOND),)  # of a user, documented by the vendor
_USER = (
    "Check the region, the username and the password, and the user: a dedicated API user (no superuser, no root account) "
    "with the toggle Integrations enabled, which must have signed in to ESET PROTECT Hub once."
)
ADVICE = {
    401: _USER,
    403: "Give the API user (no superuser, no root account) the toggle Integrations and permission to read devices and "
    "groups. It must have signed in to ESET PROTECT Hub once.",
    404: "Check the region, and the authentication and API URLs if any are set.",
}
_call = partial(call_deferred, "response-id")
DEVICES = Listing(
    "/v1/devices",
    records="devices",
    next_page=by_field("nextPageToken", "pageToken"),
    size="pageSize",
    absent_is_empty=True,
)
GROUPS = replace(DEVICES, path="/v1/device_groups", records="deviceGroups", held=True)


def signed_in(login: ApiSession, username: str, password: SecretStr) -> FetchedToken:
    """The API user's credential for calls. `login` leads to the token's URL and carries no credential itself."""
    grant = PasswordGrant(login, username, password, _USER, lifetime=300.0, call=partial(_call, login))
    return FetchedToken(grant.fetch)


class EsetClient:
    """Reads devices (of these what lies on the `paths`) and groups. Knows URLs and pages, nothing of OCSF."""

    PAGE_SIZE = 1000  # the documented maximum

    def __init__(self, session: ApiSession, page_size: int | None = None, *, paths: Iterable[str] = ()) -> None:
        self._session, self._call = session, partial(_call, session)
        self._parse = selection(paths, "parentGroupUuid")
        self._size, self._group_size = PageSize(page_size or self.PAGE_SIZE), PageSize(self.PAGE_SIZE)
        self._groups: dict[str, str] = {}  # name by uuid
        self._file: JsonFile | None = None
        self._warn: Callable[[str], object] = str

    def remember_groups(self, file: JsonFile, warn: Callable[[str], object]) -> None:
        """Keep the groups in a file, so that they are known after a restart too; `warn` says when none can be read."""
        self._groups = dict(file.read())
        self._file, self._warn = file, warn

    def devices(self) -> Pages:
        """Pages of all devices, in no order, each device with the group it is in (see `with_group`).

        ESET can neither filter by time nor sort. The groups are read first. If they cannot be read, the last known ones
        are used, so that a device does not look changed because its group's name is missing.
        """
        try:
            self._read_groups()
        except ConnectorError as error:
            refused = error.ends_round or error.status in (401, 429)  # and the devices would be, too
            if refused or self._session.stop.is_set():
                raise
            self._warn(f"The device groups could not be read; the last known ones are used. {error}")
        if self._file and self._file.read() != self._groups:
            self._file.write(self._groups)
        with_its_group = partial(with_group, groups=self._groups)
        yield from follow(
            self._session, DEVICES, {}, self._size, call=self._call, parse=self._parse, complete=with_its_group
        )

    def _read_groups(self) -> None:
        pages = follow(self._session, GROUPS, {}, self._group_size, call=self._call)
        self._groups = collect(self._session.who, pages, named_group)


def named_group(group: Any) -> tuple[str, str] | None:
    """A group as the API lists it → its uuid and name, "" for one without a name; None without a uuid, or for a `BrokenObject`."""
    fields = group if type(group) is dict else {}
    uuid = to_string(fields.get("uuid"))
    return (uuid, to_string(fields.get("displayName")) or "") if uuid else None


def with_group(device: Any, groups: Mapping[str, str]) -> Any:
    """The same device, with its parent group (`id`, `name`) in a list under `PARENT_GROUP` if that group is known."""
    uuid = to_string(device.get("parentGroupUuid")) if isinstance(device, dict) else None
    if uuid and (name := groups.get(uuid)) is not None:
        device[PARENT_GROUP] = [{"id": uuid, "name": name}]
    return device
