"""Logs, metrics, traces, and the request ids that connect them."""
