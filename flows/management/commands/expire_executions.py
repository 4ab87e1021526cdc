"""`manage.py expire_executions`: forget executions that nothing happened in for long."""

from flows.engine.retention import prune_executions
from flyte_site.scheduler.command import JobCommand


class Command(JobCommand):
    """What the server does by itself every few minutes."""

    help = "Delete executions with their actions FLYTE_TTL_IN_SECONDS after their last change, whatever their state."
    job = staticmethod(prune_executions)
    result_message = "{count} executions and actions of none {were} deleted"
