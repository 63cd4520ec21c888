"""How a vendor names the next page. Each function returns the query of the page after a reply's; None at the end.

The path of the list stays the same: of a link only the query is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

from requests.utils import parse_header_links

from shared.errors import UnexpectedReply
from shared.http.session import Reply
from shared.http.urls import origin

Query = dict[str, Any]
NextPage = Callable[[Reply, Query, int], Query | None]
"""The reply, the query it answers and the number of its records → the next page's query."""


def by_field(
    path: str, parameter: str, *, optional: bool = False, decode: Callable[[str], str] = str, **then: Any
) -> NextPage:
    """A page token at `path` of the body, sent as `parameter`; missing, null and "" are the end.

    The object that contains it must be present, unless it is `optional`. `decode` returns the token in the form in which
    it has to be sent. `then`: parameters that change after the first page; None is not sent.
    """

    def next_page(reply: Reply, query: Query, _: int) -> Query | None:
        token = decode(_token_at(reply, path, optional=optional))
        return {**query, **then, parameter: token} if token else None

    return next_page


def by_link(path: str, *, any_host: bool = False) -> NextPage:
    """A link at `path` of the body; missing, null and "" are the end.

    A link to another host is refused, unless `any_host`: a server behind a proxy may not know its own name.
    """

    def next_page(reply: Reply, query: Query, _: int) -> Query | None:
        return _linked(reply, query, _token_at(reply, path), any_host=any_host)

    return next_page


def by_link_header(*, any_host: bool = False) -> NextPage:
    """The link with `rel="next"` of the reply's `Link` header (RFC 8288); as `by_link`."""

    def next_page(reply: Reply, query: Query, _: int) -> Query | None:
        links = parse_header_links(reply.headers.get("Link", ""))
        link = next((link["url"] for link in links if "next" in link.get("rel", "").lower().split()), "")
        return _linked(reply, query, link, any_host=any_host)

    return next_page


def by_offset(parameter: str, total: str = "") -> NextPage:
    """The number of rows before the page, sent as `parameter`.

    The end is a page without records, or one that reaches the number of all rows, if that is reported at `total`.
    """

    def next_page(reply: Reply, query: Query, records: int) -> Query | None:
        offset, rows = query.get(parameter, 0) + records, value_at(reply, total)
        return {**query, parameter: offset} if records and (type(rows) is not int or offset < rows) else None

    return next_page


def by_number(parameter: str, pages: str) -> NextPage:
    """The page's number from 1, sent as `parameter`.

    The last page is the one whose number is at `pages` of the body; if that is not a number, one without records.
    """

    def next_page(reply: Reply, query: Query, records: int) -> Query | None:
        number, last = query.get(parameter, 1), value_at(reply, pages)
        return {**query, parameter: number + 1} if (number < last if type(last) is int else records) else None

    return next_page


def value_at(reply: Reply, path: str, *, optional: bool = False) -> Any:
    """The value at a dotted path of the body; None when missing, or when the path is "".

    UnexpectedReply when the object that should contain it is missing, unless `optional`: then the end is not known.
    """
    if not path:
        return None
    value = reply.json
    *parents, name = path.split(".")
    for parent in parents:
        value = value.get(parent) if isinstance(value, dict) else None
    if isinstance(value, dict):
        return value.get(name)
    if optional:
        return None
    missing = (parents or [name])[-1]
    raise UnexpectedReply(f"{reply.who} sent a page without {missing!r}; the list cannot be read to its end.")


def _token_at(reply: Reply, path: str, *, optional: bool = False) -> str:
    """The page token or link at a path of the body; "" when missing or null."""
    token = value_at(reply, path, optional=optional)
    if token is not None and not (isinstance(token, str) and token.isprintable()):
        raise UnexpectedReply(
            f"{reply.who} sent a next-page token that is not printable text; the list cannot be read to its end."
        )
    return token or ""


def _linked(reply: Reply, query: Query, link: str, *, any_host: bool) -> Query | None:
    """The query with what the link changes in it: a filter that the link lost is kept. None without a link."""
    if not link:
        return None
    _, here, _ = origin(reply.url)
    try:
        url = urljoin(reply.url, link)
        _, there, _ = origin(url)
        changed = parse_qs(urlsplit(url).query, keep_blank_values=True)
    except ValueError:
        there, changed = "", {}
    if not changed:
        raise UnexpectedReply(
            f"{reply.who} sent a next-page link that is not a URL with a query; the list cannot be read to its end."
        )
    if there != here and not any_host:
        raise UnexpectedReply(
            f"{reply.who} sent a next-page link to another host ({there}) than the configured one ({here}); nothing was "
            "sent there."
        )
    return query | changed
