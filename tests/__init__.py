"""The tests. PYTEST_DONT_REWRITE: this module is imported before the one that has all others rewritten."""
