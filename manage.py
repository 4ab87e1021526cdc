#!/usr/bin/env python
"""Flyte's command line: `manage.py help` lists what it can do."""

import gc
import os
import sys

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.db import DatabaseError

from flyte_site.core.environment import exit_on_errors

# These tell about the settings, or need none: they run whatever the environment holds.
COMMANDS_WITHOUT_CHECK = {"check", "help", "version", "--help", "--version", "-h"}

if __name__ == "__main__":
    gc.disable()  # nearly all that a start allocates stays: searching it for garbage takes a fifth of the time
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flyte_site.settings")
    if len(sys.argv) > 1 and sys.argv[1] not in COMMANDS_WITHOUT_CHECK:
        exit_on_errors(settings.FLYTE_ENVIRONMENT)
        django.setup()  # notes what is wrong with the settings of hosted packs
        exit_on_errors(settings.FLYTE_ENVIRONMENT)
    gc.freeze()
    gc.enable()
    try:
        execute_from_command_line(sys.argv)
    except DatabaseError as error:
        # Not a defect of the command: the store is not there, or is none. One line says it better than a traceback.
        print(f"flyte: FLYTE_DATABASE_URL: the database can't be used: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
