"""Links in the server's answers: the only way to an address, since no path is ever built here."""

import re
from collections.abc import Mapping
from typing import Any

import httpx

# A link in a header, as RFC 8288 has it: `<target>; name=value; name="quoted value"`. Both may hold commas.
LINK_HEADER = re.compile(r'<([^>]*)>((?:[^",<]|"(?:[^"\\]|\\.)*")*)')
REL_PARAMETER = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))', re.IGNORECASE)


def find_link(document: Mapping[str, Any], rel: str, base: httpx.URL) -> httpx.URL | None:
    """Where `document` links to under a rel that is `rel` or ends in `/` and `rel`; None where it has no such link.

    Rels are addresses of their own (`http://host/swagger#!/action/takeAction`), so only their end is compared. A
    relative href counts from `base`, the address that the document came from. The server's own links stand after those
    that the pack registered with, so the last one wins.
    """
    url = None
    links = document.get("links")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, Mapping) and _rel_matches(link.get("rel"), rel) and isinstance(link.get("href"), str):
            url = _join_url(base, link["href"]) or url
    return url


def find_header_link(header: str, rel: str, base: httpx.URL) -> httpx.URL | None:
    """Where a `Link` header leads under this rel, rels being compared as in `find_link`; None where nowhere."""
    for target, parameters in LINK_HEADER.findall(header):
        rels = REL_PARAMETER.search(parameters)
        if rels and any(_rel_matches(link_rel, rel) for link_rel in (rels[1] or rels[2] or "").split()):
            return _join_url(base, target)
    return None


def _rel_matches(rel: object, expected: str) -> bool:
    return isinstance(rel, str) and (rel == expected or rel.endswith(f"/{expected}"))


def _join_url(base: httpx.URL, href: str) -> httpx.URL | None:
    try:
        return base.join(href)
    except httpx.InvalidURL:
        return None
