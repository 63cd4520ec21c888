"""Harmony Mobile alerts (API v3), some 500 bytes each, with the odd values real tenants hold."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from lab.fleet.hosts import WITH_MOBILES, Host, host
from lab.fleet.real_hosts import make_odd_rarely

Alert = dict[str, Any]

_MOBILES = tuple(platform for platform in WITH_MOBILES if platform.kind == "mobile")
_SETTLED = timedelta(minutes=16)  # the youngest alert: what is younger than a quarter of an hour is not collected yet
_FINDINGS = (  # attack vector, event, severity, threat factors, details
    ("NetworkSecurity", "Blocked", "Critical", "Phishing", "Domain:login[.]example[.]com"),
    ("NetworkSecurity", "Info", "Information", "Network Protection (VPN)", ""),
    ("Application", "Installed", "Warning", "Backup Tool", "Application:com.example.backup"),
    ("Application", "Detected", "Critical", "Information Stealer", "Application:com.example.läuft"),
    ("Device", "Compliant", "Information", "Operating System", ""),
    ("Device", "Noncompliant", "Warning", "Outdated Operating System", "Version below the policy's"),
    ("Text message", "Blocked", "Critical", "Phishing", "Domain:bb[.]café"),
    ("WiFi network", "Detected", "Warning", "Man in the Middle", "SSID:Café du coin"),
    ("OS Exploits", "Detected", "Critical", "Jailbreak", "Jailbreak detected"),
    ("iOS profiles", "Removed", "Information", "Configuration Profile", "Profile:Example"),
)
_CLIENTS = ("5.0.1.15281", "4.9.3.14920", "2.73-SNAPSHOT/2,089")


def checkpoint_alerts(
    count: int, seed: int = 7, now: datetime | None = None, hours: float = 5.5, *, odd: bool = True
) -> Iterator[Alert]:
    """Alerts, oldest first, touched by the backend in the hours before `now` (the last 16 minutes left out).

    Several may share a second. `odd` lets some differ as live ones do; all can be sent.
    """
    now = (now or datetime.now(UTC)).astimezone(UTC)
    first = now - timedelta(hours=hours)
    step = (now - _SETTLED - first) / max(1, count)
    return (checkpoint_alert(index, seed, first + step * index, odd=odd) for index in range(count))


def checkpoint_alert(index: int, seed: int, touched: datetime, *, odd: bool = True) -> Alert:
    """The alert of that number, the same for the same arguments; one device has several."""
    dice = random.Random(f"checkpoint:{seed}:{index}")
    device = host(dice.randrange(400), seed, touched, _MOBILES)
    attack_vector, event, severity, factors, details = dice.choice(_FINDINGS)
    happened = touched - timedelta(seconds=dice.choice((0, 1, 30, 300, 86_400)))
    form = dice.choice((slashed, _iso))
    alert: Alert = {
        "attack_vector": attack_vector,
        "backend_last_updated": form(touched),
        "details": details,
        "device_id": device.index,
        "device_rooted": dice.random() < 0.02,
        "email": dice.choice((device.person.email, "Blocked")),
        "event": event,
        "event_timestamp": form(happened),
        "id": 100_000 + index,
        "mdm_uuid": str(device.uuid) if dice.random() < 0.5 else "00000000-0000-0000-0000-0000000000",
        "name": device.name,
        "number": f"+1555010{device.index % 100:02}",  # of the range kept for fiction
        "severity": severity,
        "threat_factors": factors,
        "device_model": _model(device),
        "client_version": dice.choice(_CLIENTS),
    }
    if dice.random() < 0.5:
        alert |= {"policy_name": "Global", "os_version": device.platform.version}
    if odd:
        _make_odd(alert, dice)
    return alert


def slashed(moment: datetime) -> str:
    """`MM/DD/YYYY HH:MM:SS`, UTC without saying so: the older form."""
    return moment.astimezone(UTC).strftime("%m/%d/%Y %H:%M:%S")


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(microsecond=0).isoformat()


def _model(device: Host) -> str:
    maker = "Apple" if device.platform.family == "ios" else device.platform.maker.lower()
    return f"{maker} / {'iPhone 15 Pro' if maker == 'Apple' else device.platform.model}"


def _make_odd(alert: Alert, dice: random.Random) -> None:
    """Add oddities that were seen in live tenants, each rarely; the alert can still be sent."""
    for name in ("event_timestamp", "email", "number", "threat_factors", "device_model"):
        if dice.random() < 0.01:
            alert.pop(name)
    make_odd_rarely(alert, _ODDITIES, 0.01, dice)


_ODDITIES: tuple[Alert, ...] = (
    {"event_timestamp": "No data"},
    {"event_timestamp": None},
    {"device_rooted": "False"},
    {"device_id": "2"},
    {"email": None},
    {"number": "0123 4567890"},
    {"number": ""},
    {"device_model": "Android"},
    {"severity": "HIGH"},
    {"name": "Téléphone de Zoé"},
    {"new_key": {"of": ["a", "later", "release"]}},
)
