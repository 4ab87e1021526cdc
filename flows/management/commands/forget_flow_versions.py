"""`manage.py forget_flow_versions`: delete versions of flows that nobody needs."""

from flows.engine.retention import prune_flow_versions
from flyte_site.scheduler.command import JobCommand


class Command(JobCommand):
    """What the server does by itself every hour where FLYTE_FLOW_VERSIONS_KEEP is set."""

    help = (
        "Delete versions of flows that no flow and no execution is on, but the last FLYTE_FLOW_VERSIONS_KEEP of each."
    )
    job = staticmethod(prune_flow_versions)
    result_message = "{count} versions of flows {were} forgotten"
