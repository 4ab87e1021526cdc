"""Flows as files: read, compare, apply and export them.

Used by `manage.py` and by `flyte_client`; imports neither.
"""
