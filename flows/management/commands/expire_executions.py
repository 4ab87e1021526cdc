"""`manage.py expire_executions`: delete old executions."""

from flows.engine.retention import prune_executions
from flyte_site.scheduler.command import JobCommand


class Command(JobCommand):
    """Manual run of the job that the server repeats every few minutes."""

    help = "Delete executions with their actions FLYTE_TTL_IN_SECONDS after their last change, whatever their state."
    job = staticmethod(prune_executions)
    result_message = "{count} executions and actions without execution {were} deleted"
