"""Cron expressions, times and durations as text. Used by the server and by `flyte_client`; imports neither."""
