"""Settings: what is entered is checked at once, and never repeated."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from sekoia_automation.exceptions import ModuleConfigurationError, TriggerConfigurationError

from shared.http.urls import https_url, origin_url
from shared.runtime.settings import (
    DeviceConnectorConfiguration,
    HttpsUrl,
    ModuleSettings,
    Secret,
    configuration_error,
)

SECRET = "s3cr3t-t0k3n"


class Settings(ModuleSettings):
    url: HttpsUrl
    api_token: Secret


@pytest.mark.parametrize(
    ("entered", "url"),
    [
        ("https://console.example", "https://console.example"),
        (" https://console.example/ \n", "https://console.example"),
        ("https://console.example:8443/api//", "https://console.example:8443/api"),
        ("https://10.0.0.1", "https://10.0.0.1"),
        ("https://[2001:db8::1]:443", "https://[2001:db8::1]:443"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.1.2.3", "http://127.1.2.3"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://console.localhost", "http://console.localhost"),
    ],
)
def test_an_https_address_is_taken_and_plain_http_for_this_machine_only(entered: str, url: str) -> None:
    assert https_url(entered) == url


@pytest.mark.parametrize(
    ("entered", "why"),
    [
        ("http://console.example", "must begin with https://"),
        ("http://10.0.0.1", "must begin with https://"),
        ("http://127.0.0.1.evil.example", "must begin with https://"),
        ("http://localhost.evil.example", "must begin with https://"),
        ("http://evillocalhost", "must begin with https://"),
        ("http://0.0.0.0", "must begin with https://"),
        ("https://user:pw@console.example", "no user name"),
        ("https://user@console.example", "no user name"),
        ("https://@console.example", "no user name"),
        ("http://127.0.0.1@evil.example", "no user name"),
        ("https://console.example/?a=1", "query"),
        ("https://console.example/#a", "fragment"),
        ("https://console.example?", "query"),
        ("https://console.example#", "fragment"),
        ("", "is not a web address"),
        (" ", "is not a web address"),
        ("https://con sole.example", "contains a space"),
        ("https://console.example\nHost: x", "contains a space"),
        ("https://console.example/a b", "contains a space"),
        ("https://there\\@here", "no user name"),
        ("https://there\\here", "contains a space or another character"),
        ("https://console.example:port", "has a port"),
        ("https://console.example:99999", "has a port"),
        ("https://console.example:0", "has a port"),
        ("https://a..example", "two dots in a row"),
        ("https://.example", "two dots in a row"),
        (f"https://{'a' * 64}.example", "more than 63"),
        (f"https://{'ü' * 60}.example", "more than 63"),
        ("https://" + "a.b." * 64 + "example", "more than 253"),
        ("https://x%2fexample.com", "character that host names do not have"),
        ("https://console,example", "character that host names do not have"),
    ]
    + [
        (entered, "is not a web address; enter it as https://host")
        for entered in [
            *("console.example", "//console.example", "https://", "https:///path", "https://https:[::1]"),
            *("ftp://console.example", "file:///etc/passwd", "javascript:alert(1)", "https://[::1", "None"),
        ]
    ],
)
def test_an_address_that_cannot_work_or_is_not_safe_is_refused_with_a_reason(entered: str, why: str) -> None:
    """`https://console.example?` passed, and every path put behind it became its query."""
    with pytest.raises(ValueError, match=why):
        https_url(entered)


@given(st.text() | st.from_regex(r"https?://[a-z@:\[\]./?#\\ 0-9]{0,20}", fullmatch=True))
def test_any_text_is_an_address_or_a_value_error(entered: str) -> None:
    try:
        url = https_url(entered)
    except ValueError:
        return
    assert url.lower().startswith(("https://", "http://"))
    assert https_url(url) == url


def test_a_secret_is_kept_out_of_everything_printed() -> None:
    settings = Settings(url="https://console.example", api_token=SECRET)
    assert SECRET not in f"{settings!r} {settings!s} {settings.model_dump()} {settings.model_dump_json()}"
    assert settings.api_token.get_secret_value() == SECRET


def test_the_place_of_a_secret_may_hold_anything_until_the_platform_hands_it_out() -> None:
    settings = Settings(url="https://console.example", api_token=None)
    assert settings.api_token == SecretStr("")
    settings.api_token = SECRET
    assert isinstance(settings.api_token, SecretStr)


def test_a_secret_handed_out_to_a_connector_stays_one() -> None:
    """The SDK's own model holds the key in clear, and sends it to Sentry with the configuration."""
    configuration = DeviceConnectorConfiguration(sekoia_api_key=None)
    configuration.sekoia_api_key = SECRET
    assert SECRET not in f"{configuration!r} {configuration.model_dump()}"
    assert configuration.sekoia_api_key.get_secret_value() == SECRET


def test_a_device_connector_has_the_defaults_of_its_manifest() -> None:
    configuration = DeviceConnectorConfiguration()
    assert configuration.sekoia_base_url == "https://api.sekoia.io"
    assert (configuration.frequency, configuration.batch_size, configuration.full_sync_interval) == (10800, 1000, 86400)


def test_values_as_small_as_one_are_accepted() -> None:
    DeviceConnectorConfiguration(frequency=1, batch_size=1, full_sync_interval=1)


@pytest.mark.parametrize("name", ["frequency", "batch_size", "full_sync_interval"])
@pytest.mark.parametrize("value", [0, -1, "soon", 1.5])
def test_a_number_that_cannot_work_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        DeviceConnectorConfiguration(**{name: value})


def test_a_platform_address_without_tls_is_refused() -> None:
    with pytest.raises(ValidationError, match="must begin with https"):
        DeviceConnectorConfiguration(sekoia_base_url="http://api.sekoia.example")


def test_what_is_not_known_is_passed_over() -> None:
    Settings(url="https://console.example", api_token="x", something_new=1)


# --- messages


def wrong(**entered: Any) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Settings(**entered)
    return caught.value


def test_a_wrong_setting_is_named_with_its_reason_in_one_line() -> None:
    error = wrong(url="http://console.example", api_token=SECRET)
    assert configuration_error(error) == (
        "The configuration is wrong: url must begin with https://, so that the credentials are not sent in clear."
    )


def test_several_wrong_settings_are_all_named() -> None:
    assert configuration_error(wrong(url="x", api_token={"a": SECRET})).count(";") >= 1
    assert "api_token" in configuration_error(wrong(url="https://console.example"))


@pytest.mark.parametrize(
    "entered",
    [
        *({"url": f"https://user:{SECRET}@console.example", "api_token": "x"}, {"url": SECRET, "api_token": "x"}),
        *({"url": "https://console.example", "api_token": [SECRET]}, {"url": [SECRET], "api_token": SECRET}),
        {"url": f"https://console.example/?key={SECRET}", "api_token": "x"},
    ],
)
def test_no_message_repeats_what_was_entered(entered: dict[str, Any]) -> None:
    error = wrong(**entered)
    for said in (str(error), repr(error), configuration_error(error)):
        assert SECRET not in said


@pytest.mark.parametrize("kind", [ModuleConfigurationError, TriggerConfigurationError])
def test_the_sdks_wrapping_of_an_error_is_looked_through(kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        try:
            Settings(url="x", api_token=SECRET)
        except ValidationError as error:
            raise kind(str(error))  # noqa: B904 - as the SDK does
    assert (
        configuration_error(caught.value)
        == "The configuration is wrong: url is not a web address; enter it as https://host."
    )


def test_an_error_of_the_sdk_alone_is_told_in_one_line() -> None:
    error = ModuleConfigurationError("Module configuration requires properties \\\n      that were not found: ['url']")
    said = configuration_error(error)
    assert said.startswith("The configuration is wrong: Module configuration requires properties")
    assert "\n" not in said
    assert "  " not in said


class Optional(ModuleSettings):
    url: HttpsUrl
    label: str | None = None
    names: list[str] = []
    api_token: Secret


@pytest.mark.parametrize("left", [None, "", []])
def test_a_secret_that_is_handed_out_later_leaves_the_emptied_settings_their_defaults(left: Any) -> None:
    """The assignment validates all fields again: what was empty was dropped then, and its attribute with it."""
    settings = Optional.model_validate({"url": "https://a.example", "label": left, "names": left, "api_token": None})
    settings.api_token = SECRET  # type: ignore[assignment]
    assert (settings.label, settings.names, settings.url) == (None, [], "https://a.example")
    assert settings.model_fields_set == {"url", "api_token"}


def test_a_required_setting_that_is_left_empty_is_named_with_what_is_wrong() -> None:
    with pytest.raises(ValidationError) as caught:
        Optional.model_validate({"url": "", "api_token": None})
    assert "url is empty; enter it" in configuration_error(caught.value)


@pytest.mark.parametrize(
    ("entered", "url"),
    [
        ("console.example", "https://console.example"),
        ("console.example:8443/login", "https://console.example:8443"),
        (" https://console.example:8443/a/b?c=d#e ", "https://console.example:8443"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
    ],
)
def test_the_address_of_any_page_leads_to_its_origin(entered: str, url: str) -> None:
    assert origin_url(entered) == url


@pytest.mark.parametrize("entered", ["", "https://", "http://console.example", "https://me@console.example", "ftp://a"])
def test_an_address_without_an_origin_to_call_is_refused(entered: str) -> None:
    with pytest.raises(ValueError, match=r"is not a web address|is empty|must"):
        origin_url(entered)
