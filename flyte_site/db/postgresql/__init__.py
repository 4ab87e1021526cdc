"""PostgreSQL backend: Django's, with a connection pool and a cheaper check that a connection is alive."""
