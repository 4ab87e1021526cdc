"""Scopes of this server's tokens, and the scope that each API request requires."""

from collections.abc import Sequence

from flyte_site.auth.path_patterns import PathPattern, PathTable, PathTableRow

OPEN = "open"
AS_PACK = "as a pack"

# Descriptions of the scopes by name (the same table is in docs/reference/access.md).
SCOPES = {
    "packs:read": "see registered packs with their commands and events",
    "packs:write": "delete packs",
    "flows:read": "see flows and their versions",
    "flows:write": "save, dry-run, enable, disable, restore, delete flows; dry runs can read events and the datastore",
    "datastore:read": "read datastore items",
    "datastore:write": "create, replace and delete datastore items",
    "audit:read": "see executions and events with their full content",
    "executions:write": "cancel executions, retry steps, replay events",
    "approvals:write": "see, approve and reject approvals",
    "metrics:read": "read metrics",
}

# Every request of the API: `open` needs no token, `as a pack` needs a token of the pack that the path or body names.
REQUIRED_SCOPES = {
    "GET /": OPEN,
    "GET /v1": OPEN,
    "GET /health": OPEN,
    "GET /health/ready": OPEN,
    "GET /metrics": "metrics:read",
    "GET /swagger": OPEN,
    "GET /swagger/index.html": OPEN,
    "GET /swagger-config/v1.yml": OPEN,
    "GET /v1/swagger": OPEN,
    "GET /v1/packs": "packs:read",
    "POST /v1/packs": AS_PACK,
    "GET /v1/packs/:pack": "packs:read",
    "DELETE /v1/packs/:pack": "packs:write",
    "POST /v1/packs/:pack/events": AS_PACK,
    "POST /v1/packs/:pack/actions/take": AS_PACK,
    "POST /v1/packs/:pack/actions/:action/result": AS_PACK,
    "POST /v1/packs/:pack/actions/:action/heartbeat": AS_PACK,
    "GET /v1/flows": "flows:read",
    "POST /v1/flows": "flows:write",
    "GET /v1/flows/dry-run": "flows:read",
    "POST /v1/flows/dry-run": "flows:write",
    "DELETE /v1/flows/dry-run": "flows:write",
    "GET /v1/flows/:flow": "flows:read",
    "DELETE /v1/flows/:flow": "flows:write",
    "POST /v1/flows/:flow/enable": "flows:write",
    "POST /v1/flows/:flow/disable": "flows:write",
    "GET /v1/flows/:flow/versions": "flows:read",
    "GET /v1/flows/:flow/versions/:version": "flows:read",
    "POST /v1/flows/:flow/versions/:version/restore": "flows:write",
    "GET /v1/datastore": "datastore:read",
    "GET /v1/datastore/:key": "datastore:read",
    "PUT /v1/datastore/:key": "datastore:write",
    "DELETE /v1/datastore/:key": "datastore:write",
    "GET /v1/approvals": "approvals:write",
    "GET /v1/approvals/:action": "approvals:write",
    "POST /v1/approvals/:action": "approvals:write",
    "GET /v1/audit/flows": "audit:read",
    "GET /v1/audit/flows/:execution": "audit:read",
    "POST /v1/audit/flows/:execution/cancel": "executions:write",
    "POST /v1/audit/flows/:execution/replay": "executions:write",
    "POST /v1/audit/flows/:execution/steps/:step/retry": "executions:write",
    "GET /v1/audit/events": "audit:read",
    "GET /v1/audit/events/:event": "audit:read",
}

_TABLE = PathTable(
    PathTableRow(PathPattern.parse(path), method, scope)
    for method, path, scope in ((*request.split(" ", 1), scope) for request, scope in REQUIRED_SCOPES.items())
)


def get_required_scope(method: str, segments: Sequence[str]) -> str | None:
    """`open`, `as a pack` or the scope that this request requires; None if no token allows it."""
    match = _TABLE.find(method, segments)
    return match[0] if match else None
