"""SQLite backend: Django's, with a queue of writers in each process."""
