"""The sections of the report. Each is a function of what a run collected; one that has nothing to show is left out.

A new section is such a function, named in `SECTIONS`. A new kind of its parts also needs a macro in `templates/parts.html`.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lab.kinds import ALERTS, DEVICES, MISSING, Event, Kind, alert_moment, compliance, device_text
from lab.report.charts import Bars, Cell, Listing, Part, Timeline
from lab.report.summary import COUNTED, Outcome

_AGES = (  # seconds since a device was last seen, below which it is of that age
    (0, "ahead of our clock"),
    (3_600, "under an hour"),
    (86_400, "1 to 24 hours"),
    (604_800, "1 to 7 days"),
    (2_592_000, "7 to 30 days"),
    (7_776_000, "30 to 90 days"),
    (float("inf"), "over 90 days"),
)
_SILENT = 30  # days after which a device counts as silent for long
_SEVERITIES = {"critical": 0, "high": 1, "warning": 2, "medium": 2, "low": 3, "information": 4, "informational": 4}


@dataclass(frozen=True)
class Run:
    """The outcomes of a run. `made` is epoch seconds."""

    outcomes: list[Outcome]
    made: float

    def events(self, kind: Kind) -> Iterator[tuple[Outcome, Event]]:
        return ((outcome, event) for outcome in self.outcomes if outcome.kind is kind for event in outcome.events)


@dataclass(frozen=True)
class Section:
    """A heading, a sentence below it and what it shows. `id` is its anchor."""

    id: str
    title: str
    note: str
    parts: list[Part]


def modules(run: Run) -> Section:
    rows: list[tuple[Cell, ...]] = []
    for outcome in run.outcomes:
        result = "failed" if outcome.error else "succeeded"
        counts = (outcome.round[name] for name in COUNTED)
        rows.append((outcome.name, *counts, round(outcome.seconds, 1), result))
    note = "One round of each. Unchanged records were delivered before; skipped records could not be mapped."
    columns = ("module", *COUNTED, "seconds", "result")
    return Section("modules", "Modules", note, [Listing.of("module", columns, rows)])


def devices(run: Run) -> Section | None:
    facets: dict[str, Callable[[Event], str]] = {
        "Operating system": lambda event: device_text(event, "os", "type") or MISSING,
        "Type": lambda event: device_text(event, "type") or MISSING,
        "Compliant": lambda event: compliance(event) or MISSING,
        "Last seen": lambda event: _age(event, run.made),
    }
    orders = {"Compliant": ("yes", "no", MISSING), "Last seen": (*(label for _, label in _AGES), MISSING)}
    counts = {title: Counter(facet(event) for _, event in run.events(DEVICES)) for title, facet in facets.items()}
    counts = {"Vendor": Counter(outcome.name for outcome, _ in run.events(DEVICES)), **counts}
    if not counts["Vendor"]:
        return None
    bars: list[Part] = [Bars.of(title, counted, orders.get(title, ())) for title, counted in counts.items()]
    return Section("devices", "Devices", "Each device counts once for each vendor that knows it.", bars)


@dataclass
class _Host:
    """A hostname as it was first sent, and its devices by module."""

    hostname: str
    devices: Counter[str] = field(default_factory=Counter)


def _hosts(run: Run) -> dict[str, _Host]:
    """The hosts by short name: names that differ only in case or domain are one host."""
    hosts: dict[str, _Host] = {}
    for outcome, event in run.events(DEVICES):
        hostname = event["device"]["hostname"]
        hosts.setdefault(_short(hostname), _Host(hostname)).devices[outcome.name] += 1
    return hosts


def names_in_common(run: Run) -> Section | None:
    """Hostnames that more than one module sent: one machine under several agents, or two that share a name."""
    hosts = _hosts(run)
    if not hosts:
        return None
    modules = [outcome.name for outcome in run.outcomes if outcome.kind is DEVICES]
    common = [name for name, host in hosts.items() if len(host.devices) > 1]
    rows: list[tuple[Cell, ...]] = [
        (hosts[name].hostname, len(hosts[name].devices), *(hosts[name].devices[module] for module in modules))
        for name in sorted(common, key=lambda name: (-hosts[name].devices.total(), name))
    ]
    spread = Counter(len(host.devices) for host in hosts.values())
    known = {f"{count} modules" if count > 1 else "1 module": spread[count] for count in sorted(spread, reverse=True)}
    note = "Hostnames that several vendors sent; case and domain are ignored. The table counts devices."
    parts: list[Part] = [Bars.of("Known to", known, list(known))]
    if rows:
        parts.append(Listing.of("hostname", ("hostname", "modules", *modules), rows))
    return Section("hostnames", "Hostnames in common", note, parts)


def coverage(run: Run) -> Section | None:
    """Hosts that one vendor knows and another does not: there the other's agent is missing."""
    hosts = _hosts(run)
    modules = [outcome.name for outcome in run.outcomes if outcome.kind is DEVICES and not outcome.error]
    missing = {name: [one for one in modules if one not in host.devices] for name, host in hosts.items()}
    rows: list[tuple[Cell, ...]] = [
        (host.hostname, len(host.devices), ", ".join(host.devices), ", ".join(missing[name]))
        for name, host in sorted(hosts.items(), key=lambda item: (-len(item[1].devices), item[0]))
        if missing[name]
    ]
    if len(modules) < 2 or not rows:
        return None
    counted = Counter(module for one in missing.values() for module in one)
    parts: list[Part] = [
        Bars.of("Hosts that a vendor does not know", counted),
        Listing.of("host", ("hostname", "modules", "known to", "not known to"), rows),
    ]
    note = "By hostname, without case and domain; hosts that most vendors know first. Failed modules are left out."
    return Section("coverage", "Coverage", note, parts)


def finding(
    id: str, title: str, note: str, column: str, found: Callable[[Event, float], Cell | None]
) -> Callable[[Run], Section | None]:
    """The section of the devices of which something is `found`, at the time of the report; left out without any."""

    def section(run: Run) -> Section | None:
        rows: list[tuple[Cell, ...]] = [
            (
                event["device"]["hostname"],
                outcome.name,
                device_text(event, "type"),
                device_text(event, "os", "name"),
                cell,
            )
            for outcome, event in run.events(DEVICES)
            if (cell := found(event, run.made)) is not None
        ]
        bars = Bars.of(title, Counter(str(module) for _, module, *_ in rows))
        columns = ("hostname", "module", "type", "system", column)
        return Section(id, title, note, [bars, Listing.of("device", columns, rows)]) if rows else None

    return section


def unencrypted(event: Event, _now: float) -> str | None:
    """The partitions of a server that are known not to be encrypted."""
    if device_text(event, "type") != "Server":
        return None
    found = [
        partition
        for enrichment in event.get("enrichments") or ()
        for partition, status in enrichment["data"].get("Storage_encryption", {}).get("partitions", {}).items()
        if status == "Disabled"
    ]
    return ", ".join(found) or None


def silent(event: Event, now: float) -> int | None:
    """The days since a device was last seen, where they are many."""
    seen = event["device"].get("last_seen_time")
    days = None if seen is None else int((now - seen) / 86_400)
    return days if days is not None and days >= _SILENT else None


def unmanaged(event: Event, _now: float) -> str | None:
    """The groups of a device that is known not to be managed."""
    if event["device"].get("is_managed") is not False:
        return None
    return ", ".join(group["name"] for group in event["device"].get("groups") or ())


def alerts(run: Run) -> Section | None:
    severity, vector = ALERTS.counts.values()
    events = [event for _, event in run.events(ALERTS)]
    if not events:
        return None
    moments = ((severity(event), alert_moment(event)) for event in events)
    parts: list[Part] = [
        Timeline.of("Alerts by severity over time (UTC)", moments, _SEVERITIES, run.made),
        Bars.of("Attack vector", Counter(map(vector, events))),
    ]
    return Section("alerts", "Alerts", "By the time of the event, or of the last change if that is missing.", parts)


def skipped(run: Run) -> Section:
    rows: list[tuple[Cell, ...]] = [
        (outcome.name, skip.record, skip.reason) for outcome in run.outcomes for skip in outcome.skips
    ]
    count = sum(outcome.round["skipped"] for outcome in run.outcomes)
    note = f"{count:,} records could not be mapped; {len(rows):,} of them are named in the logs."
    parts: list[Part] = [
        Bars.of("Why", Counter(skip.reason for outcome in run.outcomes for skip in outcome.skips)),
        Listing.of("record", ("module", "record", "reason"), rows),
    ]
    return Section("skipped", "Skipped, and why", note if count else "Nothing was skipped.", parts if rows else [])


def listed(kind: Kind) -> Callable[[Run], Section | None]:
    """The section with the table of all events of that kind."""

    def section(run: Run) -> Section | None:
        rows: list[tuple[Cell, ...]] = []
        for outcome, event in run.events(kind):
            first, *others = kind.row(event)
            rows.append((first, outcome.name, *others))
        first, *others = kind.columns
        columns = (first, "module", *others)
        note = f"The most important fields of each {kind.noun}; the complete events are in sent.jsonl."
        title = f"All {kind.noun}s"
        return Section(f"all-{kind.noun}s", title, note, [Listing.of(kind.noun, columns, rows)]) if rows else None

    return section


def playbooks(run: Run) -> Section | None:
    runs = [(outcome, started) for outcome in run.outcomes for started in outcome.playbook_runs]
    if not runs:
        return None
    changes = [(outcome.name, started.name, started.event["change"]) for outcome, started in runs]
    rows: list[tuple[Cell, ...]] = [(name, module, change["kind"]) for module, name, change in changes]
    fields = Counter(field for _, _, change in changes for field in change["fields"])
    parts: list[Part] = [
        Bars.of("What happened", Counter(change["kind"] for _, _, change in changes)),
        Bars.of("Fields that changed", fields),
        Listing.of("playbook run", ("event", "module", "kind"), rows),
    ]
    note = "Started by the triggers, one for each device that is new, changed, gone, silent or back."
    return Section("playbooks", "Playbooks", note, parts)


def gone(run: Run) -> Section | None:
    rows: list[tuple[Cell, ...]] = [
        (gone.hostname, outcome.name, gone.last_seen) for outcome in run.outcomes for gone in outcome.gone
    ]
    note = "Known devices that were missing from two complete readings of the list in a row."
    parts: list[Part] = [Listing.of("device", ("hostname", "module", "gone since"), rows)]
    return Section("gone", "Gone", note, parts) if rows else None


SECTIONS: tuple[Callable[[Run], Section | None], ...] = (
    modules,
    devices,
    names_in_common,
    coverage,
    finding(
        "unencrypted",
        "Servers without disk encryption",
        "Servers with a partition that is known not to be encrypted; servers of which nothing is known are not listed.",
        "not encrypted",
        unencrypted,
    ),
    finding(
        "silent",
        "Silent for long",
        f"Devices that are still listed and were last seen {_SILENT} days ago or more.",
        "days",
        silent,
    ),
    finding(
        "unmanaged",
        "Not managed",
        "Devices without a policy, waiting for their enrolment, decommissioned or uninstalled.",
        "groups",
        unmanaged,
    ),
    gone,
    alerts,
    playbooks,
    skipped,
    listed(DEVICES),
    listed(ALERTS),
)


def _age(event: Event, now: float) -> str:
    seen = event["device"].get("last_seen_time")
    return MISSING if seen is None else next(label for below, label in _AGES if now - seen < below)


def _short(hostname: str) -> str:
    """Without its domain, which one vendor reports and another does not; an address is not a name with a domain."""
    try:
        return str(ipaddress.ip_address(hostname))
    except ValueError:
        return hostname.casefold().partition(".")[0] or hostname
