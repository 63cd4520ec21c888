"""Okta-like devices: bare lists paged by `Link`, names inside of an object, a header that says when a limit resets.

The skeleton of `new-vendor Okta --paging link` → the text that takes the place of its guesses.
"""

from __future__ import annotations

from tests.lab.packaging.acme import FILLED_IN, Changes

_NAMES = 'first_string("profile.displayName", "id")'
OKTA: Changes = {
    "Okta/okta_assets/client.py": [
        *FILLED_IN["--paging link"]["client.py"],
        ("RATES: Sequence[RequestRate] = ()", "RATES: Sequence[RequestRate] = (RequestRate(100, Duration.MINUTE),)"),
        ("import RequestRate\n", "import Duration, RequestRate\n"),
    ],
    "Okta/okta_assets/mapper.py": [
        *FILLED_IN["--paging link"]["mapper.py"],
        ('first_string("hostname", "id")', _NAMES),
        ('from_fields("kind")', 'from_fields("profile.kind")'),
        ('device.get("kind")', 'nested_object(device, "profile").get("kind")'),
        ("import Record, unless_placeholder\n", "import Record, nested_object, unless_placeholder\n"),
    ],
    "lab/fleet/okta.py": [
        (
            '"hostname": machine.name,\n        "kind": machine.platform.kind,\n',
            '"profile": {"displayName": machine.name, "kind": machine.platform.kind},\n',
        ),
    ],
    "lab/consoles/okta.py": [
        (
            "    def _list(self)",
            """\
    def too_many(self) -> Response:
        reset = str(round(self.now().timestamp()) + 1)
        return answer_json({"errorCode": "E0000047"}, 429, {"X-Rate-Limit-Reset": reset})

    def _list(self)""",
        )
    ],
    "lab/vendors/okta.py": [
        ('names=("hostname",)', 'names=("profile.displayName",)'),
        ('change={"hostname": "renamed"}', 'change={"profile.displayName": "renamed"}'),
        ('{"is renamed": {"hostname": "renamed"}}', '{"is renamed": {"profile.displayName": "renamed"}}'),
    ],
}
