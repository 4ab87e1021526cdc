"""`manage.py forget_flow_versions`: delete unused versions of flows."""

from flows.engine.retention import prune_flow_versions
from flyte_site.scheduler.command import JobCommand


class Command(JobCommand):
    """Manual run of the job that the server repeats every hour if FLYTE_FLOW_VERSIONS_KEEP is set."""

    help = "Delete flow versions that no flow or execution uses, except the last FLYTE_FLOW_VERSIONS_KEEP of each flow."
    job = staticmethod(prune_flow_versions)
    result_message = "{count} versions of flows {were} deleted"
