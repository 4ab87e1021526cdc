#!/usr/bin/env python
"""The server's command line; `manage.py help` lists the commands."""

import gc
import os
import sys

import django
from django.conf import settings
from django.db import DatabaseError

from flyte_formats.output import tolerate_output_encoding
from flyte_site.core.environment import exit_on_errors
from flyte_site.management.command_line import FlyteManagementUtility

# These commands report on the settings or do not use them, so they run even if the environment is invalid.
COMMANDS_WITHOUT_CHECK = {"check", "help", "version", "--help", "--version", "-h"}

# The files that these create are for their own user only.
SERVER_COMMANDS = {"beat", "jobs", "run", "serve", "worker"}

if __name__ == "__main__":
    tolerate_output_encoding()
    if len(sys.argv) > 1 and sys.argv[1] in SERVER_COMMANDS:
        os.umask(0o077)
    gc.disable()  # startup allocates mostly permanent objects; collecting garbage takes a fifth of its time
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flyte_site.settings")
    if len(sys.argv) > 1 and sys.argv[1] not in COMMANDS_WITHOUT_CHECK:
        exit_on_errors(settings.FLYTE_ENVIRONMENT)
        django.setup()  # records errors in the settings of hosted packs
        exit_on_errors(settings.FLYTE_ENVIRONMENT)
    gc.freeze()
    gc.enable()
    try:
        FlyteManagementUtility(sys.argv).execute()
    except DatabaseError as error:
        # The database is unreachable or invalid, which is not a defect of the command: print one line, not a traceback.
        print(f"flyte: FLYTE_DATABASE_URL: the database can't be used: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
