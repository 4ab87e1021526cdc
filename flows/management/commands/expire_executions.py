"""`manage.py expire_executions`: delete old executions."""

from flows.engine.retention import prune_executions
from flyte_site.scheduler.command import JobCommand


class Command(JobCommand):
    """Manual run of the job that the server repeats every few minutes."""

    help = "Delete executions and their actions, in any state, whose last change is more than FLYTE_TTL_IN_SECONDS ago."
    job = staticmethod(prune_executions)
    result_message = "{count} executions and actions without execution {were} deleted"
