"""Permissions that roles can have, in the console's words."""

from django.contrib.auth.models import Permission
from django.db.models import Case, QuerySet, When

# Permissions that the server checks, in the order of the form. Django creates more, which allow nothing here.
PERMISSION_LABELS = {
    "view_flow": "View flows",
    "add_flow": "Create flows",
    "change_flow": "Change flows",
    "delete_flow": "Delete flows",
    "enable_flow": "Enable and disable flows",
    "view_execution": "View executions",
    "control_execution": "Cancel, retry and replay executions",
    "view_event": "View events",
    "view_approval": "View approvals",
    "decide_approval": "Approve and reject",
    "view_pack": "View packs",
    "view_action": "View queued and running actions",
    "delete_pack": "Delete packs",
    "view_item": "View datastore items",
    "add_item": "Create datastore items",
    "change_item": "Change datastore items",
    "delete_item": "Delete datastore items",
    "view_change": "View the activity log",
    "manage_token": "View, create and revoke tokens",
    "view_user": "View users",
    "add_user": "Create users",
    "change_user": "Change users",
    "delete_user": "Delete users",
    "view_group": "View roles",
    "add_group": "Create roles",
    "change_group": "Change roles",
    "delete_group": "Delete roles",
}


def list_permissions() -> "QuerySet[Permission, Permission]":
    """Return the permissions that a role can have, in the order of the form."""
    order = Case(*(When(codename=name, then=position) for position, name in enumerate(PERMISSION_LABELS)))
    return Permission.objects.filter(codename__in=PERMISSION_LABELS).order_by(order)
