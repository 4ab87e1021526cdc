"""`manage.py expire_executions`: forget executions that nothing happened in for long."""

from flows.expiry import expire_executions
from flyte_site.periodic.by_hand import JobCommand


class Command(JobCommand):
    """What the server does by itself every few minutes."""

    help = "Delete executions with their actions FLYTE_TTL_IN_SECONDS after their last change, whatever their state."
    job = staticmethod(expire_executions)
    told = "{count} executions and actions of none {were} deleted"
