"""What of this folder is collected."""

import os

from tests.private_postgres import URL_VARIABLE

# Two whole servers share a database over the network, which SQLite's file is not: the test is PostgreSQL's alone.
collect_ignore = [] if URL_VARIABLE in os.environ else ["test_two_servers.py"]
