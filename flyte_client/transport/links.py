"""Links in the server's responses. All addresses come from links; no path is built in the client."""

import re
from collections.abc import Mapping
from typing import Any

import httpx

# A link in a header (RFC 8288): `<target>; name=value; name="quoted value"`. Target and values can contain commas.
LINK_HEADER = re.compile(r'<([^>]*)>((?:[^",<]|"(?:[^"\\]|\\.)*")*)')
REL_PARAMETER = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))', re.IGNORECASE)


def find_link(document: Mapping[str, Any], rel: str, base: httpx.URL) -> httpx.URL | None:
    """Return the target of the link in `document` whose rel equals `rel` or ends in `/` and `rel`, or None.

    Rels are addresses (`http://host/swagger#!/action/takeAction`), so only their end is compared. A relative href is
    resolved against `base`, the address of the document. The server's links come after those that the pack registered
    with, so the last one wins.
    """
    url = None
    links = document.get("links")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, Mapping) and _rel_matches(link.get("rel"), rel) and isinstance(link.get("href"), str):
            url = _join_url(base, link["href"]) or url
    return url


def find_header_link(header: str, rel: str, base: httpx.URL) -> httpx.URL | None:
    """Return the target with this rel in a `Link` header, or None. Rels are compared as in `find_link`."""
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
