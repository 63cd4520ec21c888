"""The settings that a customer may enter, and the addresses they lead to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from checkpoint_harmony.settings import HarmonyMobileArguments, HarmonyMobileSettings
from pydantic import ValidationError

from lab.modules import MODULES

ENTERED = {"client_id": "c", "secret_key": "s3cret", "authentication_url": "https://gw.example/auth/external"}


def settings(**changes: Any) -> HarmonyMobileSettings:
    return HarmonyMobileSettings.model_validate({**ENTERED, **changes})


@pytest.mark.parametrize(
    ("entered", "login"),
    [
        ("https://gw.example/auth/external", "https://gw.example/auth/external"),
        (" https://gw.example/auth/external/ ", "https://gw.example/auth/external"),
        ("https://gw.example/auth/external/user", "https://gw.example/auth/external/user"),
        ("https://gw.example", "https://gw.example/auth/external"),
        ("https://gw.example:8443/", "https://gw.example:8443/auth/external"),
        ("http://127.0.0.1:5000/auth/external", "http://127.0.0.1:5000/auth/external"),
    ],
)
def test_the_authentication_url_is_posted_to_as_it_was_shown(entered: str, login: str) -> None:
    assert settings(authentication_url=entered).authentication_url == login


@pytest.mark.parametrize(
    "url", ["http://gw.example/auth/external", "gw.example", "", None, "https://u:p@gw.example", 5]
)
def test_an_authentication_url_that_is_none_or_in_clear_is_refused(url: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(authentication_url=url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("left_empty", [{}, {"base_url": None}, {"base_url": ""}])
def test_alerts_are_read_from_the_logins_host_unless_another_is_set(left_empty: dict[str, Any]) -> None:
    assert settings(**left_empty).data_url == "https://gw.example"


@pytest.mark.parametrize(
    "base", ["https://eu.example", "https://eu.example/", "eu.example", "https://eu.example/app/SBM"]
)
def test_of_a_base_url_the_origin_counts(base: str) -> None:
    assert settings(base_url=base).data_url == "https://eu.example"


def test_a_base_url_in_clear_is_refused() -> None:
    with pytest.raises(ValidationError):
        settings(base_url="http://eu.example")


def test_what_was_left_empty_has_its_default() -> None:
    arguments = HarmonyMobileArguments.model_validate(
        {"intake_key": "k", "frequency": None, "chunk_size": "", "intake_server": None, "event_format": ""}
    )
    assert arguments.model_dump(exclude={"intake_key"}) == {
        "intake_server": "https://intake.sekoia.io",
        "frequency": 60,
        "chunk_size": 1000,
        "hours_ago": 6,
        "timedelta": 15,
        "ratelimit_per_minute": 60,
        "event_format": "raw",
    }


@pytest.mark.parametrize(
    "change",
    [
        *({"intake_key": ""}, {"intake_key": None}, {"frequency": 0}, {"chunk_size": 0}, {"timedelta": -1}),
        *(
            {"hours_ago": -1},
            {"ratelimit_per_minute": 0},
            {"event_format": "cef"},
            {"intake_server": "http://x.example"},
        ),
    ],
)
def test_what_cannot_work_is_refused_without_repeating_it(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        HarmonyMobileArguments.model_validate({"intake_key": "very-secret", **change})
    assert "very-secret" not in str(caught.value)


@pytest.mark.parametrize("small", [{"frequency": 1}, {"chunk_size": 1}, {"timedelta": 0}, {"hours_ago": 0}])
def test_small_values_are_taken(small: dict[str, Any]) -> None:
    HarmonyMobileArguments.model_validate({"intake_key": "k", **small})


def test_the_intake_key_is_shown_nowhere() -> None:
    arguments = HarmonyMobileArguments.model_validate({"intake_key": "very-secret"})
    assert "very-secret" not in f"{arguments!r} {arguments} {arguments.model_dump()} {arguments.model_dump_json()}"


def test_the_connector_and_the_trigger_are_the_same_item() -> None:
    folder = MODULES["CheckpointHarmony"].folder
    connector, trigger = (
        json.loads((folder / f"{kind}_checkpoint_harmony_mobile.json").read_text(encoding="utf-8"))
        for kind in ("connector", "trigger")
    )
    assert trigger == {**connector, "results": trigger["results"]}
