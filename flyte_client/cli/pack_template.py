"""Creation of a new pack: a folder with a program, its test, and the files needed to package it."""

import keyword
import re
import shutil
import sys
from importlib.resources import files
from pathlib import Path
from string import Template

from flyte_client.errors import SettingsError
from flyte_client.version import __version__

PACK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[ _-][A-Za-z0-9]+)*\Z")
MAX_NAME_LENGTH = 64
# A module with one of these names would hide a module that the pack imports.
RESERVED_MODULE_NAMES = {*sys.stdlib_module_names, *keyword.kwlist, "flyte_client", "httpx", "pytest", "tests"}


def create_pack(name: str, parent: Path) -> Path:
    """Create the pack `name` in a new folder in `parent`; return that folder. Raises `SettingsError`."""
    if not PACK_NAME.match(name) or len(name) > MAX_NAME_LENGTH:
        rule = f"use letters A to Z and digits, a letter first, single spaces, at most {MAX_NAME_LENGTH} characters"
        raise SettingsError(f"invalid pack name {name!r}: {rule}")
    module = derive_module_name(name)
    package = module.replace("_", "-")
    substitutions = {
        "name": name,
        "module": module,
        "package": package,
        "version": ".".join(__version__.split(".")[:2]),
    }
    folder = parent / package
    try:
        folder.mkdir()
        for template in sorted(files("flyte_client").joinpath("new_pack").iterdir(), key=lambda file: file.name):
            file = folder / template.name.removesuffix(".template").replace("module", module)
            file.write_text(Template(template.read_text(encoding="utf-8")).substitute(substitutions), encoding="utf-8")
    except FileExistsError:
        raise SettingsError(f"{folder} already exists") from None
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)  # an incomplete pack would stop the next attempt
        raise SettingsError(f"can't write {folder} ({error.strerror})") from None
    return folder


def derive_module_name(name: str) -> str:
    """Return the module name of a pack: `jira_cloud` for `JiraCloud`, `Jira Cloud` and `jira-cloud`."""
    spaced_name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    module = re.sub(r"[ _-]+", "_", spaced_name).lower()
    return f"{module}_pack" if module in RESERVED_MODULE_NAMES else module
