"""The whole suite on SQLite and on PostgreSQL at the same time: `python -m tests.suite`, which is `make test`."""
