"""`flyte datastore`: listing, reading, storing and deleting values."""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from urllib.parse import quote

import httpx

from flow_files.errors import describe_read_error
from flyte_client.cli.server_api import WARNING_HEADER, ServerApi
from flyte_client.cli.tables import print_json, print_table, replace_unprintable
from flyte_client.errors import SettingsError
from flyte_formats.arguments import decode_argument
from flyte_formats.json_text import NestingError, parse_json, parse_lenient_json

JSON_TYPE, TEXT_TYPE, BINARY_TYPE = "application/json", "text/plain; charset=utf-8", "application/octet-stream"
TYPES_BY_SUFFIX = {".json": JSON_TYPE, ".yaml": "application/x-yaml", ".yml": "application/x-yaml"}


def add_arguments(parser: ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)
    items = commands.add_parser("list", help="list the items without their values")
    items.add_argument("--json", action="store_true", help="print the API's entries")
    items.set_defaults(run_datastore=_list_items)
    get = commands.add_parser("get", help="print a value")
    get.set_defaults(run_datastore=_print_value)
    put = commands.add_parser("put", help="create or replace a value")
    put.set_defaults(run_datastore=_put_value)
    delete = commands.add_parser("delete", help="delete an item")
    delete.set_defaults(run_datastore=_delete_item)
    for command in (get, put, delete):
        command.add_argument("key", metavar="KEY", type=decode_argument, help="key of the item")
    put.add_argument("value", metavar="VALUE", help="text, @FILE, or - for standard input")
    put.add_argument(
        "--type", help="content type; by default, JSON for a file *.json and for a JSON object or list, otherwise text"
    )
    put.add_argument("--description", type=decode_argument, default="", help="text for people")
    put.add_argument("--secret", action="store_true", help="encrypt the value; only templates can read it")


def run(api: ServerApi, options: Namespace) -> int:
    """Run the subcommand."""
    options.run_datastore(api, options)
    return 0


def _list_items(api: ServerApi, options: Namespace) -> None:
    items = list(api.iter_items(api.find_url("listDatastoreItems"), "datastore"))
    if options.json:
        print_json(items)
        return
    rows = (
        (item["key"], item["contentType"], "secret" if item.get("secret") else "", item.get("description", ""))
        for item in items
    )
    print_table(("KEY", "TYPE", "", "DESCRIPTION"), rows)


def _build_item_url(api: ServerApi, options: Namespace) -> httpx.URL:
    if options.key in (".", ".."):
        raise SettingsError(f"key must not be {options.key!r}: clients remove this from paths")
    return httpx.URL(f"{api.find_url('listDatastoreItems')}/{quote(options.key, safe='')}")


def _print_value(api: ServerApi, options: Namespace) -> None:
    response = api.request("GET", _build_item_url(api, options), headers={"Accept": "*/*"})
    sys.stdout.flush()
    sys.stdout.buffer.write(response.content)
    sys.stdout.buffer.flush()


def _put_value(api: ServerApi, options: Namespace) -> None:
    value = _read_value(options.value)
    content_type = options.type or _guess_type(options.value, value)
    if _is_json_type(content_type):
        _require_json(options.value, value)
    form = {"description": options.description} | ({"secret": "true"} if options.secret else {})
    upload = httpx.Request("PUT", "http://localhost", data=form, files={"value": ("value", value, content_type)})
    headers = {"Content-Type": upload.headers["Content-Type"]}
    response = api.request("PUT", _build_item_url(api, options), upload.read(), headers)
    if warning := response.headers.get(WARNING_HEADER):
        print(f"flyte: warning: {replace_unprintable(warning)}", file=sys.stderr)
    print(f"stored {options.key} as {content_type}")


def _delete_item(api: ServerApi, options: Namespace) -> None:
    api.request("DELETE", _build_item_url(api, options))
    print(f"deleted {options.key}")


def _read_value(argument: str) -> bytes:
    """Return the text of the argument, the content of a file (`@FILE`), or standard input (`-`).

    Raises `SettingsError`.
    """
    try:
        if argument == "-":
            return sys.stdin.buffer.read()
        return Path(argument[1:]).read_bytes() if argument.startswith("@") else decode_argument(argument).encode()
    except OSError as error:
        raise SettingsError(f"{argument[1:]}: {describe_read_error(error)}") from None


def _guess_type(argument: str, value: bytes) -> str:
    """Return the content type of a value for which none is set."""
    suffix = Path(argument[1:]).suffix.lower() if argument.startswith("@") else ""
    if suffix in TYPES_BY_SUFFIX:
        return TYPES_BY_SUFFIX[suffix]
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return BINARY_TYPE
    try:
        return JSON_TYPE if isinstance(parse_lenient_json(text), dict | list) else TEXT_TYPE
    except NestingError:
        return JSON_TYPE
    except ValueError:
        return TEXT_TYPE


def _is_json_type(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type.endswith(("/json", "+json"))


def _require_json(argument: str, value: bytes) -> None:
    """Raise `SettingsError` unless the value is JSON: templates could not read it."""
    source = "standard input" if argument == "-" else argument[1:] if argument.startswith("@") else "VALUE"
    try:
        parse_json(value.decode())
    except ValueError as error:
        raise SettingsError(f"{source}: invalid JSON ({error}); use --type text/plain to store text") from None
