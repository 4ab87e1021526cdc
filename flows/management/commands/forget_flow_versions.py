"""`manage.py forget_flow_versions`: delete unused versions of flows."""

from flows.engine.retention import prune_flow_versions
from flyte_site.scheduler.command import JobCommand


class Command(JobCommand):
    """Manual run of the job that the server repeats every hour if FLYTE_FLOW_VERSIONS_KEEP is set."""

    help = "Delete old flow versions that no execution uses. The last FLYTE_FLOW_VERSIONS_KEEP of each flow are kept."
    job = staticmethod(prune_flow_versions)
    nouns = ("flow version", "flow versions")
