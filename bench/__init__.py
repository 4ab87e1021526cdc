"""Benchmarks of `make bench`: results of one run, printed as tables."""
