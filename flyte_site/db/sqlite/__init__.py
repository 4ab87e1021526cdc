"""SQLite as this server uses it: Django's own backend, but for how those that write wait for each other."""
