"""The commands: who is in which groups, and whatever else stands in the directory."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from flyte_client.events import Event
from flyte_client.pack import Pack
from flyte_client.packs.ldap.directory import SCOPES, DirectoryError, Search, search
from flyte_client.packs.ldap.filters import encoded, filled
from flyte_client.packs.ldap.names import value_of
from flyte_client.packs.ldap.settings import Settings

FIELDS = ("filter", "values", "base", "scope", "attributes", "limit")
MOST_ATTRIBUTES = 50
LONGEST_VALUE = 256
LONGEST_TEXT = 10_000
# What proves who somebody is goes into no event, whoever may read it.
SECRET = frozenset({"userpassword", "unicodepwd", "krbprincipalkey", "sambantpassword", "sambalmpassword"})


def declare_commands(pack: Pack, settings: Settings) -> None:
    """Give the pack its commands."""

    @pack.command("GetGroups", events=["GroupsRetrieved", "GroupsRetrievalError"])
    def get_groups(given: Any) -> Event:
        username = given.get("username") if isinstance(given, dict) else None
        told = {"commandName": "GetGroups", "username": username}
        try:
            return Event("GroupsRetrieved", told | {"usergroups": _groups(settings, username)})
        except ValueError as error:
            return Event("GroupsRetrievalError", told | {"error": str(error), "temporary": False})
        except DirectoryError as error:
            return Event("GroupsRetrievalError", told | {"error": str(error), "temporary": error.temporary})

    @pack.command("Search", events=["SearchDone", "SearchFailed"])
    def search_directory(given: Any) -> Event:
        fields = given if isinstance(given, dict) else {}
        told = {name: fields[name] for name in ("filter", "values") if name in fields}
        try:
            found = search(settings.server, _wanted(settings, given))
        except ValueError as error:
            return Event("SearchFailed", told | {"error": str(error), "temporary": False})
        except DirectoryError as error:
            return Event("SearchFailed", told | {"error": str(error), "temporary": error.temporary})
        entries = [{"dn": dn, "attributes": _readable(attributes)} for dn, attributes in found.entries]
        return Event("SearchDone", told | {"entries": entries, "complete": found.complete})


def _groups(settings: Settings, username: Any) -> list[str]:
    if not isinstance(username, str) or not username.strip() or len(username) > LONGEST_VALUE:
        raise ValueError(f"username must be a text that is not empty, of at most {LONGEST_VALUE} characters")
    condition = encoded(filled(settings.user_filter, {"username": username}))
    found = search(settings.server, Search(settings.base, "sub", condition, settings.attributes, 2))
    if len(found.entries) != 1:
        raise ValueError("nobody has this name" if not found.entries else "several have this name")
    ((_, attributes),) = found.entries
    values = [value.decode(errors="replace") for several in attributes.values() for value in several]
    groups = (value_of(settings.group_attribute, value) for value in values)
    return list(dict.fromkeys(group for group in groups if group))


def _wanted(settings: Settings, given: Any) -> Search:
    if not isinstance(given, dict) or not set(given) <= set(FIELDS):
        raise ValueError(f"the input must be an object with {', '.join(FIELDS)}")
    template, base, scope = given.get("filter"), given.get("base") or settings.base, given.get("scope") or "sub"
    if not isinstance(template, str):
        raise ValueError("filter must be a text, such as (mail={mail})")
    if not isinstance(base, str) or not _is_under(base, settings.base):
        raise ValueError(f"base must be {settings.base}, or end with it")
    if scope not in SCOPES:
        raise ValueError(f"scope must be one of {', '.join(SCOPES)}")
    condition = encoded(filled(template, _values(given.get("values") or {})))
    return Search(base, scope, condition, _attributes(given.get("attributes")), _limit(settings, given.get("limit")))


def _is_under(base: str, top: str) -> bool:
    return f",{base.casefold()}".endswith(f",{top.casefold()}")


def _values(given: Any) -> Mapping[str, str]:
    if not isinstance(given, dict):
        raise ValueError("values must be an object of texts")
    for name, value in given.items():
        if not isinstance(value, str) or not value or len(value) > LONGEST_VALUE:
            raise ValueError(f"values.{name} must be a text that is not empty, of at most {LONGEST_VALUE} characters")
    return given


def _attributes(given: Any) -> Sequence[str]:
    names = ["*"] if given is None else given
    if not isinstance(names, list) or not 0 < len(names) <= MOST_ATTRIBUTES:
        raise ValueError(f"attributes must be a list of 1 to {MOST_ATTRIBUTES} names")
    if not all(isinstance(name, str) and 0 < len(name) <= LONGEST_VALUE for name in names):
        raise ValueError("attributes must be a list of names")
    return names


def _limit(settings: Settings, given: Any) -> int:
    number = int(given) if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) < 6 else given
    if number is None:
        return settings.limit
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= settings.limit:
        raise ValueError(f"limit must be a whole number from 1 to {settings.limit}")
    return number


def _readable(attributes: Mapping[str, Sequence[bytes]]) -> dict[str, list[str]]:
    return {
        name: [_text(value) for value in values]
        for name, values in attributes.items()
        if name.partition(";")[0].casefold() not in SECRET
    }


def _text(value: bytes) -> str:
    """Text as it is, and what is none (photos, ids) in base64."""
    try:
        return value.decode()[:LONGEST_TEXT].replace("\0", "")
    except UnicodeDecodeError:
        return base64.b64encode(value[:LONGEST_TEXT]).decode()
