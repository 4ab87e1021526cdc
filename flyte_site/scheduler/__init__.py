"""Periodic jobs: when one is due, and which of several processes does it. Which there are is in `flyte_site.jobs`."""
