"""Secrets: encryption at rest, the key of sessions, and redaction in outputs."""
