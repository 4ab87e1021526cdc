"""Permissions of approvals: who may view them, and who may decide them.

In the console a user needs VIEW_PERMISSION or DECIDE_PERMISSION: `packs.models.Approval` declares them,
and `flyte_site/migrations/0008_approval_permissions.py` adds them to the roles. `audit.views.approvals` enforces them.

In the REST API a token needs a scope, the same to view and to decide. `flyte_site.auth.middleware` enforces it before
the view runs, by the path (`flyte_site.auth.scopes`). An identity token needs the claims of the path policy instead.
"""

from django.contrib.auth.models import AnonymousUser, User

VIEW_PERMISSION = "packs.view_approval"
DECIDE_PERMISSION = "packs.decide_approval"


def may_view(user: User | AnonymousUser) -> bool:
    """Return True if the console shows approvals to this user."""
    return user.has_perm(VIEW_PERMISSION)


def may_decide(user: User | AnonymousUser) -> bool:
    """Return True if this user may approve and reject in the console."""
    return user.has_perm(DECIDE_PERMISSION)
