"""What `make bench` measures: figures side by side in one run, printed as tables."""
