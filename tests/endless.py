"""Pages of a module's list without records, in the vendor's form: those that name a next page without end, and the last."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from lab.modules import LabModule
from lab.platform.faults import WrongShape


def with_texts(value: Any, by: Callable[[str], Any]) -> Any:
    """A copy of JSON in which each string is another one."""
    if isinstance(value, dict):
        return {key: with_texts(inner, by) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_texts(inner, by) for inner in value]
    return by(value) if isinstance(value, str) else value


def endless(module: LabModule, number: int | None = None, **more: Any) -> WrongShape:
    """The answer with a page that names another one, which gets the number if one is given; `more` is added to its body."""
    numbered = str if number is None else lambda token: with_number(token, number)
    body, headers = with_texts(module.endless_page, numbered), with_texts(dict(module.endless_headers), numbered)
    return WrongShape({**(body if isinstance(body, dict) else {}), **more} if more else body, headers)


def with_number(token: str, number: int) -> str:
    """A page token or link, of the page of that number."""
    link, *rest = re.split("(?=>)", token, maxsplit=1)  # of a Link header
    return f"{link}{'&page=' if '?' in link else '-'}{number}{''.join(rest)}"


def without_list(module: LabModule) -> WrongShape:
    """The answer with the last page, whose list is null."""
    page = json.dumps(with_texts(module.endless_page, lambda _: None)).replace("[]", "null")
    return WrongShape(json.loads(page))
