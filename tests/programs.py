"""Programs that a few tests run because the pages tell people to: curl, jq, bash."""

import os
import shutil

import pytest


def needs(*names: str) -> None:
    """Skips the test, with a reason, where one of the programs is not on the machine; a pipeline must have them."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing and os.environ.get("CI"):
        pytest.fail(f"install {', '.join(missing)}: a pipeline runs every test")
    if missing:
        pytest.skip(f"{', '.join(missing)} not on this machine")
