"""Migration from the original server: its MongoDB data, imported into this database."""
