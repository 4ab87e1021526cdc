"""Django's settings of a database, made from its URL."""

from typing import Any

import dj_database_url

from flyte_site.db.postgresql.sessions import KEEPALIVE_COUNT


def build_database_settings(url: str, keepalive_seconds: int) -> dict[str, Any]:
    """Build Django's settings of a database, with options that make it safe for several processes."""
    config: dict[str, Any] = dict(dj_database_url.parse(url, conn_max_age=600, conn_health_checks=True))
    if config["ENGINE"] == "django.db.backends.sqlite3":
        config["ENGINE"] = "flyte_site.db.sqlite"
        # IMMEDIATE: otherwise a transaction that reads first and writes later fails if a concurrent one has written.
        # FULL: committed data survives a power failure, as with PostgreSQL.
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        }
    else:
        config["ENGINE"] = "flyte_site.db.postgresql"
        # With prepared statements, the database does not plan frequent queries each time.
        prepared = {"server_side_binding": True, "prepare_threshold": 5}
        timeouts = {"connect_timeout": 3, "tcp_user_timeout": 10_000}
        keepalives = {
            "keepalives_idle": keepalive_seconds,
            "keepalives_interval": keepalive_seconds,
            "keepalives_count": KEEPALIVE_COUNT,
        }
        config["OPTIONS"] = prepared | timeouts | keepalives | config.get("OPTIONS", {})
    return config
