"""The commands: who is in which groups, and whatever else stands in the directory."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from flyte_client.events import Event
from flyte_client.pack import Pack
from flyte_client.packs.ldap.directory import SCOPES, DirectoryError, LdapSearch, run_search
from flyte_client.packs.ldap.distinguished_names import find_attribute_value
from flyte_client.packs.ldap.filters import encode_filter, fill_template
from flyte_client.packs.ldap.settings import LdapSettings

SEARCH_FIELDS = ("filter", "values", "base", "scope", "attributes", "limit")
MAX_ATTRIBUTES = 50
MAX_VALUE_LENGTH = 256
MAX_TEXT_LENGTH = 10_000
# What proves who somebody is goes into no event, whoever may read it.
SECRET_ATTRIBUTES = frozenset({"userpassword", "unicodepwd", "krbprincipalkey", "sambantpassword", "sambalmpassword"})


def declare_commands(pack: Pack, settings: LdapSettings) -> None:
    """Give the pack its commands."""

    @pack.command("GetGroups", events=["GroupsRetrieved", "GroupsRetrievalError"])
    def get_groups(command_input: Any) -> Event:
        username = command_input.get("username") if isinstance(command_input, dict) else None
        echoed = {"commandName": "GetGroups", "username": username}
        try:
            return Event("GroupsRetrieved", echoed | {"usergroups": _find_groups(settings, username)})
        except ValueError as error:
            return Event("GroupsRetrievalError", echoed | {"error": str(error), "temporary": False})
        except DirectoryError as error:
            return Event("GroupsRetrievalError", echoed | {"error": str(error), "temporary": error.temporary})

    @pack.command("Search", events=["SearchDone", "SearchFailed"])
    def search_directory(command_input: Any) -> Event:
        fields = command_input if isinstance(command_input, dict) else {}
        echoed = {name: fields[name] for name in ("filter", "values") if name in fields}
        try:
            result = run_search(settings.server, _build_search(settings, command_input))
        except ValueError as error:
            return Event("SearchFailed", echoed | {"error": str(error), "temporary": False})
        except DirectoryError as error:
            return Event("SearchFailed", echoed | {"error": str(error), "temporary": error.temporary})
        entries = [{"dn": dn, "attributes": _to_readable(attributes)} for dn, attributes in result.entries]
        return Event("SearchDone", echoed | {"entries": entries, "complete": result.complete})


def _find_groups(settings: LdapSettings, username: Any) -> list[str]:
    if not isinstance(username, str) or not username.strip() or len(username) > MAX_VALUE_LENGTH:
        raise ValueError(f"username must be a text that is not empty, of at most {MAX_VALUE_LENGTH} characters")
    encoded_filter = encode_filter(fill_template(settings.user_filter, {"username": username}))
    result = run_search(settings.server, LdapSearch(settings.base_dn, "sub", encoded_filter, settings.attributes, 2))
    if len(result.entries) != 1:
        raise ValueError("nobody has this name" if not result.entries else "several have this name")
    ((_, attributes),) = result.entries
    values = [value.decode(errors="replace") for attribute_values in attributes.values() for value in attribute_values]
    groups = (find_attribute_value(settings.group_attribute, value) for value in values)
    return list(dict.fromkeys(group for group in groups if group))


def _build_search(settings: LdapSettings, command_input: Any) -> LdapSearch:
    if not isinstance(command_input, dict) or not set(command_input) <= set(SEARCH_FIELDS):
        raise ValueError(f"the input must be an object with {', '.join(SEARCH_FIELDS)}")
    template, base, scope = (
        command_input.get("filter"),
        command_input.get("base") or settings.base_dn,
        command_input.get("scope") or "sub",
    )
    if not isinstance(template, str):
        raise ValueError("filter must be a text, such as (mail={mail})")
    if not isinstance(base, str) or not _is_under(base, settings.base_dn):
        raise ValueError(f"base must be {settings.base_dn}, or end with it")
    if scope not in SCOPES:
        raise ValueError(f"scope must be one of {', '.join(SCOPES)}")
    encoded_filter = encode_filter(fill_template(template, _check_values(command_input.get("values") or {})))
    return LdapSearch(
        base,
        scope,
        encoded_filter,
        _check_attributes(command_input.get("attributes")),
        _check_limit(settings, command_input.get("limit")),
    )


def _is_under(base: str, root: str) -> bool:
    return f",{base.casefold()}".endswith(f",{root.casefold()}")


def _check_values(values: Any) -> Mapping[str, str]:
    if not isinstance(values, dict):
        raise ValueError("values must be an object of texts")
    for name, value in values.items():
        if not isinstance(value, str) or not value or len(value) > MAX_VALUE_LENGTH:
            raise ValueError(
                f"values.{name} must be a text that is not empty, of at most {MAX_VALUE_LENGTH} characters"
            )
    return values


def _check_attributes(value: Any) -> Sequence[str]:
    names = ["*"] if value is None else value
    if not isinstance(names, list) or not 0 < len(names) <= MAX_ATTRIBUTES:
        raise ValueError(f"attributes must be a list of 1 to {MAX_ATTRIBUTES} names")
    if not all(isinstance(name, str) and 0 < len(name) <= MAX_VALUE_LENGTH for name in names):
        raise ValueError("attributes must be a list of names")
    return names


def _check_limit(settings: LdapSettings, value: Any) -> int:
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 6 else value
    if number is None:
        return settings.max_entries
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= settings.max_entries:
        raise ValueError(f"limit must be a whole number from 1 to {settings.max_entries}")
    return number


def _to_readable(attributes: Mapping[str, Sequence[bytes]]) -> dict[str, list[str]]:
    return {
        name: [_to_text(value) for value in values]
        for name, values in attributes.items()
        if name.partition(";")[0].casefold() not in SECRET_ATTRIBUTES
    }


def _to_text(value: bytes) -> str:
    """Text as it is, and what is none (photos, ids) in base64."""
    try:
        return value.decode()[:MAX_TEXT_LENGTH].replace("\0", "")
    except UnicodeDecodeError:
        return base64.b64encode(value[:MAX_TEXT_LENGTH]).decode()
