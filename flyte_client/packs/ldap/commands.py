"""The pack's commands: groups of a user, and directory searches."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from flyte_client.events import Event
from flyte_client.pack import Pack
from flyte_client.packs.common.results import require_int, run_command
from flyte_client.packs.ldap.directory import SCOPES, LdapSearch, run_search
from flyte_client.packs.ldap.distinguished_names import find_attribute_value
from flyte_client.packs.ldap.filters import encode_filter, fill_template
from flyte_client.packs.ldap.settings import LdapSettings

SEARCH_FIELDS = ("filter", "values", "base", "scope", "attributes", "limit")
MAX_ATTRIBUTES = 50
MAX_VALUE_LENGTH = 256
MAX_TEXT_LENGTH = 10_000
# Credentials are never included in an event.
SECRET_ATTRIBUTES = frozenset({"userpassword", "unicodepwd", "krbprincipalkey", "sambantpassword", "sambalmpassword"})


def declare_commands(pack: Pack, settings: LdapSettings) -> None:
    """Declare the pack's commands."""

    @pack.command("GetGroups", events=["GroupsRetrieved", "GroupsRetrievalError"])
    def get_groups(command_input: Any) -> Event:
        username = command_input.get("username") if isinstance(command_input, dict) else None
        echoed = {"commandName": "GetGroups", "username": username}
        return run_command(
            "GroupsRetrieved",
            "GroupsRetrievalError",
            echoed,
            lambda: {"usergroups": _find_groups(settings, username)},
        )

    @pack.command("Search", events=["SearchDone", "SearchFailed"])
    def search_directory(command_input: Any) -> Event:
        fields = command_input if isinstance(command_input, dict) else {}
        echoed = {name: fields[name] for name in ("filter", "values") if name in fields}

        def search() -> dict[str, Any]:
            result = run_search(settings.server, _build_search(settings, command_input))
            entries = [{"dn": dn, "attributes": _to_readable(attributes)} for dn, attributes in result.entries]
            return {"entries": entries, "complete": result.complete}

        return run_command("SearchDone", "SearchFailed", echoed, search)


def _find_groups(settings: LdapSettings, username: Any) -> list[str]:
    if not isinstance(username, str) or not username.strip() or len(username) > MAX_VALUE_LENGTH:
        raise ValueError(f"username: must be a non-empty string of at most {MAX_VALUE_LENGTH} characters")
    encoded_filter = encode_filter(fill_template(settings.user_filter, {"username": username.strip()}))
    result = run_search(settings.server, LdapSearch(settings.base_dn, "sub", encoded_filter, settings.attributes, 2))
    if len(result.entries) != 1:
        reason = "not found" if not result.entries else "is not unique"
        raise ValueError(f"user {username!r} {reason}")
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
        raise ValueError("filter: must be a string, such as (mail={mail})")
    if not isinstance(base, str) or not _is_under(base, settings.base_dn):
        raise ValueError(f"base: must be {settings.base_dn}, or end with it")
    if scope not in SCOPES:
        raise ValueError(f"scope: must be one of {', '.join(SCOPES)}")
    encoded_filter = encode_filter(fill_template(template, _check_values(command_input.get("values") or {})))
    return LdapSearch(
        base,
        scope,
        encoded_filter,
        _check_attributes(command_input.get("attributes")),
        settings.max_entries
        if command_input.get("limit") is None
        else require_int(command_input, "limit", 1, settings.max_entries),
    )


def _is_under(base: str, root: str) -> bool:
    return f",{base.casefold()}".endswith(f",{root.casefold()}")


def _check_values(values: Any) -> Mapping[str, str]:
    if not isinstance(values, dict):
        raise ValueError("values: must be an object with string values")
    for name, value in values.items():
        if not isinstance(value, str) or not value or len(value) > MAX_VALUE_LENGTH:
            raise ValueError(f"values.{name}: must be a non-empty string of at most {MAX_VALUE_LENGTH} characters")
    return values


def _check_attributes(value: Any) -> Sequence[str]:
    names = ["*"] if value is None else value
    if not isinstance(names, list) or not 0 < len(names) <= MAX_ATTRIBUTES:
        raise ValueError(f"attributes: must be a list of 1 to {MAX_ATTRIBUTES} names")
    if not all(isinstance(name, str) and 0 < len(name) <= MAX_VALUE_LENGTH for name in names):
        raise ValueError(f"attributes: names must be non-empty strings of at most {MAX_VALUE_LENGTH} characters")
    return names


def _to_readable(attributes: Mapping[str, Sequence[bytes]]) -> dict[str, list[str]]:
    return {
        name: [_to_text(value) for value in values]
        for name, values in attributes.items()
        if name.partition(";")[0].casefold() not in SECRET_ATTRIBUTES
    }


def _to_text(value: bytes) -> str:
    """Decode UTF-8 text; encode binary values (photos, ids) in base64."""
    try:
        return value.decode()[:MAX_TEXT_LENGTH].replace("\0", "")
    except UnicodeDecodeError:
        return base64.b64encode(value[:MAX_TEXT_LENGTH]).decode()
