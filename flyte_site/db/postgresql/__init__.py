"""PostgreSQL as this server uses it: Django's own backend, but for how it tells that a connection is still good."""
