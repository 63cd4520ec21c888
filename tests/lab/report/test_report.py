"""The report: what it counts, what it leaves out and says so, and that a section is easily added. Its looks: tests/browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lab.kinds import ALERTS
from lab.report import charts
from lab.report import page as report
from lab.report.charts import Bars, Listing, Timeline
from lab.report.page import write_report
from lab.report.sections import Run, Section, alerts, devices, names_in_common, skipped
from lab.report.skips import Gone, Skip, gone_in, skips_in
from lab.report.summary import Outcome
from shared import masking
from tests.runs import NOW, alert, device, hostile_run, outcome, plain_run

DAY = 86_400
RANKS = {"high": 0, "low": 1}


def shown(bars: Bars) -> list[tuple[str, int]]:
    return [(bar.label, bar.count) for bar in bars.bars]


def bars_of(section: Section | None, title: str) -> list[tuple[str, int]]:
    assert section is not None
    return next(shown(part) for part in section.parts if isinstance(part, Bars) and part.title == title)


def listing_of(section: Section | None) -> Listing:
    assert section is not None
    return next(part for part in section.parts if isinstance(part, Listing))


def page_of(outcomes: list[Outcome], folder: Path) -> str:
    write_report(outcomes, folder / "report.html")
    return (folder / "report.html").read_text(encoding="utf-8")


# --- bars


def test_bars_come_largest_first_and_know_their_share() -> None:
    bars = Bars.of("Type", {"a": 1, "b": 3})
    assert [(bar.label, bar.percent, bar.length) for bar in bars.bars] == [
        ("b", 75, 100),
        ("a", 25, pytest.approx(100 / 3)),
    ]


def test_bars_with_an_order_keep_it_and_leave_out_what_is_not_there() -> None:
    assert shown(Bars.of("Age", {"new": 1, "old": 5, "odd": 9}, ["new", "middle", "old"])) == [
        ("new", 1),
        ("old", 5),
        ("odd", 9),
    ]


def test_a_thousand_labels_become_a_dozen_bars_that_lose_no_count() -> None:
    bars = Bars.of("Type", {f"type {n}": n + 1 for n in range(1_000)})
    assert len(bars.bars) == 12
    assert bars.bars[-1].label == "989 others"
    assert sum(bar.count for bar in bars.bars) == sum(range(1, 1_001))
    assert max(bar.length for bar in bars.bars) == 100


# --- the timeline


def test_a_timeline_has_a_strip_a_label_and_columns_of_one_scale() -> None:
    at = NOW - NOW % 3_600
    moments = [("low", at + 10), ("low", at + 20), ("high", at + 20), ("low", at + 3_600)]
    line = Timeline.of("Alerts", moments, RANKS, NOW)
    assert [(strip.label, strip.rank, strip.total) for strip in line.strips] == [("high", 0, 1), ("low", 1, 3)]
    assert (line.highest, line.outside) == (2, 0)
    assert line.strips[0].heights[0] == 50
    assert line.strips[1].heights[0] == 100
    assert line.strips[1].counts[-1] == 1
    assert all(len(strip.counts) == len(line.starts) for strip in line.strips)


@pytest.mark.parametrize("span", [0, 60, 7_000, 20_000, DAY, 9 * DAY, 89 * DAY])
def test_any_span_of_time_fits_the_width_and_loses_no_count(span: int) -> None:
    line = Timeline.of("Alerts", [("low", NOW - span * n / 100) for n in range(101)], RANKS, NOW)
    assert 1 <= len(line.starts) <= 36
    assert len(set(line.starts)) == len(line.starts)
    assert sum(line.strips[0].counts) == 101


def test_times_that_are_missing_or_out_of_range_are_counted_apart() -> None:
    moments = [("low", NOW - 60), ("low", None), ("high", 0.0), ("low", NOW - 100 * DAY), ("low", NOW + 400 * DAY)]
    line = Timeline.of("Alerts", moments, RANKS, NOW)
    assert line.outside == 4
    assert line.step == "5 minutes"
    assert [(strip.label, strip.total) for strip in line.strips] == [("high", 0), ("low", 1)]
    assert Timeline.of("Alerts", [("low", None)], RANKS, NOW).outside == 1


def test_a_thousand_severities_become_a_dozen_strips_within_the_scale() -> None:
    line = Timeline.of("Alerts", [(f"severity {n}", NOW - 60) for n in range(1_000)], RANKS, NOW)
    assert (len(line.strips), line.strips[-1].label) == (12, "989 others")
    assert max(height for strip in line.strips for height in strip.heights) == 100


# --- the sections


def test_devices_are_counted_by_system_type_compliance_and_age() -> None:
    seen = {
        1: "under an hour",
        3_600: "1 to 24 hours",
        DAY: "1 to 7 days",
        7 * DAY: "7 to 30 days",
        30 * DAY: "30 to 90 days",
    }
    ages = {**seen, 90 * DAY: "over 90 days", -600: "ahead of our clock"}
    events = [device(f"host-{age}", age=age, is_compliant=age > DAY) for age in ages]
    silent = {"device": {"uid": "9", "hostname": "silent", "type": ""}}
    section = devices(Run([outcome("Gamma", [*events, silent])], NOW))
    assert bars_of(section, "Vendor") == [("Gamma", 8)]
    assert bars_of(section, "Operating system") == [("windows", 7), ("missing", 1)]
    assert bars_of(section, "Type") == [("Desktop", 7), ("missing", 1)]
    assert bars_of(section, "Compliant") == [("yes", 3), ("no", 4), ("missing", 1)]
    order = ["ahead of our clock", *seen.values(), "over 90 days", "missing"]
    assert bars_of(section, "Last seen") == [(label, 1) for label in order]


def test_hostnames_in_common_are_found_in_any_case_and_domain() -> None:
    run = Run(
        [
            outcome("Beta", [device("Web.corp.example.com"), device("10.0.0.1"), device("only-here")]),
            outcome("Gamma", [device("web"), device("WEB", ip="10.0.0.9"), device("10.0.0.2")]),
            outcome("Alpha", [device("weB.other.example.com")]),
            outcome("Alerts", [alert("Critical", name="web")], ALERTS),
        ],
        NOW,
    )
    section = names_in_common(run)
    assert listing_of(section).columns == ("hostname", "modules", "Beta", "Gamma", "Alpha")
    assert listing_of(section).rows == [("Web.corp.example.com", 3, 1, 2, 1)]
    assert bars_of(section, "Known to") == [("3 modules", 1), ("1 module", 3)]


def section_of(run: Run, id: str) -> Section | None:
    return next((found for told in report.SECTIONS if (found := told(run)) and found.id == id), None)


def test_hosts_that_one_vendor_knows_and_another_does_not_are_listed() -> None:
    run = Run(
        [
            outcome("Beta", [device("Web.corp.example.com"), device("db"), device("both")]),
            outcome("Gamma", [device("WEB"), device("both.example.com")]),
            outcome("Alpha", [device("both"), device("phone")]),
            outcome("Delta", [], error="Delta refused the credentials."),
        ],
        NOW,
    )
    section = section_of(run, "coverage")
    assert bars_of(section, "Hosts that a vendor does not know") == [("Alpha", 2), ("Gamma", 2), ("Beta", 1)]
    assert listing_of(section).rows == [
        ("Web.corp.example.com", 2, "Beta, Gamma", "Alpha"),
        ("db", 1, "Beta", "Gamma, Alpha"),
        ("phone", 1, "Alpha", "Beta, Gamma"),
    ]


def test_coverage_needs_two_vendors_and_a_host_that_one_of_them_does_not_know() -> None:
    assert section_of(Run([outcome("Gamma", [device("web")])], NOW), "coverage") is None
    same = [outcome(name, [device("web")]) for name in ("Gamma", "Alpha")]
    assert section_of(Run(same, NOW), "coverage") is None


def encryption(**partitions: str) -> list[dict[str, Any]]:
    return [{"name": "compliance", "value": "hygiene", "data": {"Storage_encryption": {"partitions": partitions}}}]


def test_servers_with_a_partition_that_is_not_encrypted_are_listed() -> None:
    bare, safe, desktop = device("bare", type="Server"), device("safe", type="Server"), device("desktop")
    bare["enrichments"] = encryption(C="Disabled", D="Enabled", E="Disabled")
    safe["enrichments"] = encryption(C="Enabled")
    desktop["enrichments"] = encryption(C="Disabled")
    unknown = {**device("unknown", type="Server"), "enrichments": [{"name": "Users", "value": "a", "data": {}}]}
    section = section_of(
        Run([outcome("Gamma", [safe, bare, desktop, unknown, device("none", type="Server")])], NOW), "unencrypted"
    )
    assert listing_of(section).rows == [("bare", "Gamma", "Server", "windows 11", "C, E")]


def test_devices_that_are_silent_for_long_are_listed_with_their_days() -> None:
    events = [
        device("old", age=45 * DAY),
        device("edge", age=30 * DAY),
        device("new", age=29 * DAY),
        device("ahead", age=-DAY),
    ]
    never = device("never")
    del never["device"]["last_seen_time"]
    section = section_of(Run([outcome("Alpha", [*events, never])], NOW), "silent")
    assert [(row[0], row[-1]) for row in listing_of(section).rows] == [("old", 45), ("edge", 30)]


def test_devices_that_are_not_managed_are_listed_with_their_groups() -> None:
    events = [
        device("pending", is_managed=False, groups=[{"name": "Lost & found"}, {"name": "All"}]),
        device("managed", is_managed=True),
        device("alone", is_managed=False),
        device("unknown"),
    ]
    section = section_of(Run([outcome("Alpha", events)], NOW), "unmanaged")
    assert [(row[0], row[-1]) for row in listing_of(section).rows] == [("pending", "Lost & found, All"), ("alone", "")]


def test_a_finding_without_any_device_is_left_out() -> None:
    run = Run([outcome("Gamma", [device("web")])], NOW)
    assert [section_of(run, id) for id in ("unencrypted", "silent", "unmanaged")] == [None] * 3


def test_skipped_records_are_counted_even_where_the_log_names_no_more_of_them() -> None:
    one = outcome("Gamma", [], skips=[Skip("id 1", "id: is missing"), Skip("id 2", "id: is missing")])
    one.round["skipped"] = 1_500
    section = skipped(Run([one], NOW))
    assert section.note.startswith("1,500 records could not be mapped; 2 of them are named")
    assert bars_of(section, "Why") == [("id: is missing", 2)]
    assert listing_of(section).rows == [("Gamma", "id 1", "id: is missing"), ("Gamma", "id 2", "id: is missing")]


def test_skipped_records_are_read_from_a_log_with_any_ids() -> None:
    line = "2026-11-21 10:09:00 - gamma_device_assets_connector - {} - {}\n"
    log = "".join(
        line.format(*parts)
        for parts in [
            ("INFO", "Reading all devices"),
            ("WARNING", "Skipped a device (id 7): hostname: is missing"),
            ("WARNING", "Skipped an alert (id a)b\nc): record: is a text, not an object"),
            ("WARNING", "Skipped a device (number 3 of this round, without an id): os: is (odd): very"),
            ("ERROR", "Skipped a device that no warning names"),
        ]
    )
    assert skips_in(log) == [
        Skip("id 7", "hostname: is missing"),
        Skip("id a)b\nc", "record: is a text, not an object"),
        Skip("number 3 of this round, without an id", "os: is (odd): very"),
    ]


def test_the_devices_that_a_log_names_as_gone_are_found() -> None:
    log = (
        "2026-11-26 10:00:00,000 - sophos - INFO - ACME: Gone from the list, as two complete readings found: "
        "FRA-LT-000046, last seen 2026-11-02 08:14 UTC; a, b; 3 more\n"
    )
    assert gone_in(log) == [Gone("FRA-LT-000046", "2026-11-02 08:14 UTC"), Gone("a, b", ""), Gone("3 more", "")]


def test_alerts_are_placed_by_their_own_time_in_either_form() -> None:
    normalised = {"message": "{}", "@timestamp": alert("x", age=60)["event_timestamp"], "log": {"level": "Warning"}}
    section = alerts(Run([outcome("Alerts", [alert("Critical", age=60), normalised], ALERTS)], NOW))
    assert section is not None
    [line] = [part for part in section.parts if isinstance(part, Timeline)]
    assert [(strip.label, strip.total) for strip in line.strips] == [("Critical", 1), ("Warning", 1)]


# --- the page


def test_a_run_that_collected_nothing_has_a_report_too(tmp_path: Path) -> None:
    page = page_of([outcome("Gamma", [], error="Gamma refused the credentials.")], tmp_path)
    assert "Gamma refused the credentials." in page
    assert "Nothing was skipped." in page
    assert re.findall(r'<section id="([^"]+)"', page) == ["modules", "skipped"]
    page_of([], tmp_path)


def test_the_page_is_whole_in_itself_and_its_policy_names_its_own_script(tmp_path: Path) -> None:
    page = page_of(plain_run(30), tmp_path)
    assert not re.search(r"https?:|//[a-z]|@import|url\(|src=|<link", page)
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page.replace("&#39;", "'")
    assert "default-src 'none'" in page


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "</script>", "<!--", "' onload='x", '" onload="x', "\u2028"]
)
def test_a_vendors_text_is_escaped_everywhere(text: str, tmp_path: Path) -> None:
    page, usual = (page_of(hostile_run([word] * 12), tmp_path) for word in (text, "word"))
    assert Counter(re.findall(r"</?[a-zA-Z!][a-z-]*", page)) == Counter(re.findall(r"</?[a-zA-Z!][a-z-]*", usual))
    assert not re.search(r"\sonload\s*=\s*['\"]", page)
    rows = [
        json.loads(found) for found in re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    ]
    assert rows
    assert all(masking.shown(text) in row for listing in rows[-2:] for row in listing)


def test_rows_beyond_the_maximum_of_a_page_are_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charts, "_MAX_ROWS", 100)
    page = page_of(plain_run(60), tmp_path)
    assert "The first 100 of 240 are in this page." in page
    assert f"First {Listing.PAGE} of 240 devices shown." in page
    assert "The first 60" not in page


def test_a_section_is_added_by_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def runs(run: Run) -> Section:
        return Section("playbooks", "Playbook runs", "By device.", [Bars.of("Result", {"finished": len(run.outcomes)})])

    monkeypatch.setattr(report, "SECTIONS", (*report.SECTIONS, runs))
    page = page_of(plain_run(3), tmp_path)
    assert '<a href="#playbooks">Playbook runs</a>' in page
    assert '<section id="playbooks"' in page
    assert ">finished</th>" in page
