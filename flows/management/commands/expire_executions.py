"""`manage.py expire_executions`: delete old executions."""

from flows.engine.retention import prune_executions
from flyte_site.scheduler.command import JobCommand


class Command(JobCommand):
    """Manual run of the job that the server repeats every few minutes."""

    help = "Delete old executions and their actions, in any state, after FLYTE_TTL_IN_SECONDS without a change."
    job = staticmethod(prune_executions)
    nouns = ("execution or action without an execution", "executions and actions without an execution")
