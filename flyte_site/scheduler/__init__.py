"""Scheduling of periodic jobs, each run by one of several processes. `flyte_site.jobs` lists the jobs."""
