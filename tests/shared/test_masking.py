"""No live secret is in text that leaves the process, in whatever form and place; nothing in it forges a line."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import ActionNeeded, SkipRecord, TryAgain
from shared.http.replies import detail
from shared.masking import forget, hide, masked, one_line, shown
from tests.search import AROUND, FORMS, forms

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0"
ODD = 's3cret/with+odd=signs & spaces\\"é'


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("secret", [TOKEN, ODD, "correct"])
def test_a_secret_is_masked_within_signs_and_words(secret: str, around: str) -> None:
    hide(secret)
    assert masked(around.format(secret)) == around.format("***")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("secret", [ODD, "two words/1"])
def test_a_secret_is_masked_in_each_form(secret: str, form: str) -> None:
    hide(secret)
    text = f"before {FORMS[form](secret)} after"
    assert "***" in masked(text)
    assert masked(text).startswith("before ")
    assert masked(text).endswith(" after")
    assert not [one for one in forms(secret) if one in masked(text)]
    assert len(masked(text)) < len("before ***** after") + (12 if form == "in base64" else 0)


def test_a_secret_that_was_entered_percent_encoded_is_masked_decoded() -> None:
    hide("a%2Frefresh%2Btoken")
    assert masked("x a/refresh+token y a%2Frefresh%2Btoken") == "x *** y ***"


def test_a_piece_of_a_secret_is_masked_wherever_it_was_cut() -> None:
    hide(TOKEN)
    for length in range(16, len(TOKEN)):
        assert masked(f"x{TOKEN[:length]}") == "x***"
        assert masked(f"{TOKEN[-length:]}x") == "***x"


@pytest.mark.parametrize("before", range(150, 201))
def test_a_text_is_masked_before_it_is_cut(before: int) -> None:
    hide(TOKEN)
    assert TOKEN[:4] not in shown("x" * before + TOKEN, 200)
    assert TOKEN[:4] not in detail(json.dumps({"message": "x" * before + TOKEN}).encode())


def test_secrets_that_overlap_are_masked_together() -> None:
    hide("abcdef123456")
    hide("123456ghijkl")
    assert masked("abcdef123456ghijkl") == "***"


def test_a_short_secret_masks_no_word_to_pieces() -> None:
    hide("admin")
    hide("a")
    hide("")
    assert masked("a administrator, the user admin: 'admin'") == "a administrator, the user ***: '***'"


def test_the_latest_fetched_tokens_are_masked_and_the_entered_secrets_for_ever() -> None:
    hide("entered-secret")
    tokens = [hide(f"fetched-token-{number}-{'x' * number}", fetched=True) for number in range(20)]
    hidden = [token for token in tokens if token not in masked(token)]
    assert hidden == tokens[-8:]
    assert masked("entered-secret") == "***"


def test_nothing_is_masked_without_secrets() -> None:
    assert masked("a %41 \\u0041 text") == "a %41 \\u0041 text"


@pytest.mark.parametrize(
    "text", ["x" * 64_000, "word %41 " * 7000, "&amp;" * 12_000, "\\" * 64_000, "%25" * 21_000, TOKEN * 1600]
)
def test_masking_takes_time_linear_in_the_text(text: str) -> None:
    """64 KB of text beside a large body took 50 s. By what it costs of half of the text, in the process's own time."""
    hide(TOKEN)

    def cost(part: str) -> float:
        return min(_cpu(masked, part) for _ in range(3))

    halves = [cost(text[: len(text) // divisor]) for divisor in (4, 2, 1)]
    assert all(longer < 4 * shorter + 0.01 for shorter, longer in pairwise(halves)), halves


def _cpu(call: Callable[[str], object], text: str) -> float:
    began = time.process_time()
    call(text)
    return time.process_time() - began


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb\r\nc\u2028d\x85e\tf", "a b c d e f"),
        ("a\x1b[31mred\x07", r"a\x1b[31mred\x07"),
        ("a\u202egnp.exe", r"a\u202egnp.exe"),
        ("\u2066x\u2069\u061c", r"\u2066x\u2069\u061c"),
        ("\ud83d \x00", r"\ud83d \x00"),
        ("Zoë 日本 👩‍👧", "Zoë 日本 👩‍👧"),
    ],
)
def test_nothing_in_a_line_breaks_it_steers_a_terminal_or_turns_the_direction(text: str, line: str) -> None:
    assert one_line(text, 100) == line
    assert str(ActionNeeded(text)) == line


def test_a_message_is_bounded() -> None:
    assert len(str(TryAgain("x" * 1_000_000))) == 4000
    assert len(str(TryAgain("short").adding("x" * 1_000_000))) == 4000


def test_an_error_masks_what_it_says_and_what_is_added() -> None:
    hide(TOKEN)
    error = TryAgain(f"no {TOKEN}")
    assert str(error) == "no ***"
    assert str(error.adding(f"nor {TOKEN}")) == "no *** nor ***"
    assert TOKEN not in repr(error)


def test_a_record_that_is_skipped_keeps_its_field_and_reason() -> None:
    skipped = SkipRecord("name", "is missing")
    assert (str(skipped), skipped.field, skipped.reason, skipped.status) == (
        "name: is missing",
        "name",
        "is missing",
        None,
    )


def _error_bodies(token: str) -> st.SearchStrategy[bytes]:
    """Bodies that hold the token in some form, somewhere that is quoted."""
    form = st.sampled_from([lambda secret: secret, *FORMS.values()]).map(lambda form: form(token))
    text = st.tuples(st.text(max_size=250), form, st.text(max_size=20)).map("".join)
    keys = st.sampled_from(["title", "detail", "message", "error_description", "error", "errors", "code"])
    bodies = st.recursive(
        text,
        lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(keys, inner, min_size=1),
        max_leaves=4,
    )
    return bodies.map(lambda body: json.dumps(body).encode())


@pytest.mark.parametrize("examples", [100, pytest.param(5_000, marks=pytest.mark.slow)])
def test_no_error_body_that_holds_the_token_in_some_form_shows_it(examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from([TOKEN, ODD]).flatmap(lambda token: st.tuples(st.just(token), _error_bodies(token))))
    def search(case: tuple[str, bytes]) -> None:
        token, body = case
        forget()
        hide(token)
        said = str(TryAgain(f"Vendor answered HTTP 500{detail(body)}."))
        assert not [form for form in forms(token) if form in said]
        assert not [at for at in range(len(token) - 15) if token[at : at + 16] in said]

    search()
