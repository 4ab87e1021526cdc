"""Collection of the tests of this folder."""

import os

from tests.private_postgres import URL_VARIABLE

# Two servers share a database over the network, which is impossible with SQLite.
collect_ignore = [] if URL_VARIABLE in os.environ else ["test_two_servers.py"]
