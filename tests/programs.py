"""Programs that some tests run because the documentation uses them: curl, jq, bash."""

import os
import shutil

import pytest


def needs(*names: str) -> None:
    """Skip the test if one of the programs is not installed; fail it in a pipeline."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing and os.environ.get("CI"):
        pytest.fail(f"install {', '.join(missing)}: a pipeline runs every test")
    if missing:
        pytest.skip(f"{', '.join(missing)} not on this machine")
