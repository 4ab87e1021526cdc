"""Writes a new pack: a folder with a program, its test, and what is needed to package it."""

import keyword
import re
import sys
from importlib.resources import files
from pathlib import Path
from string import Template

from flyte_client.errors import SettingsError
from flyte_client.version import __version__

NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[ _-][A-Za-z0-9]+)*\Z")
LONGEST_NAME = 64
# A module of one of these names would hide what the pack itself imports.
TAKEN = {*sys.stdlib_module_names, *keyword.kwlist, "flyte_client", "httpx", "pytest", "tests"}


def new_pack(name: str, parent: Path) -> Path:
    """Write the pack `name` in a folder of its own in `parent`; that folder. Raises `SettingsError` if it can't be."""
    if not NAME.match(name) or len(name) > LONGEST_NAME:
        rule = f"letters from A to Z and digits, a letter first, words parted by one space, {LONGEST_NAME} in all"
        raise SettingsError(f"{name!r} can't be a pack's name here: {rule}")
    module = module_name(name)
    package = module.replace("_", "-")
    words = {"name": name, "module": module, "package": package, "version": ".".join(__version__.split(".")[:2])}
    folder = parent / package
    try:
        folder.mkdir()
        for template in sorted(files("flyte_client").joinpath("new_pack").iterdir(), key=lambda file: file.name):
            file = folder / template.name.removesuffix(".template").replace("module", module)
            file.write_text(Template(template.read_text(encoding="utf-8")).substitute(words), encoding="utf-8")
    except FileExistsError:
        raise SettingsError(f"{folder} is there already") from None
    except OSError as error:
        raise SettingsError(f"{folder} can't be written ({error.strerror})") from None
    return folder


def module_name(name: str) -> str:
    """`JiraCloud`, `Jira Cloud` and `jira-cloud` are all `jira_cloud`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    module = re.sub(r"[ _-]+", "_", words).lower()
    return f"{module}_pack" if module in TAKEN else module
