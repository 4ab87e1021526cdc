"""This server's flows as `manage.py flows` brings them in line with files."""

from contextlib import AbstractContextManager

from django.db import transaction

from flows import saving
from flows.checking import MEDIA_TYPES
from flows.models import Flow
from flows.proposal import as_file, propose
from flyte_client.errors import FlyteError
from flyte_client.flow_files import FilesError
from flyte_client.flow_sync import Checked, Finding
from flyte_site.changes import COMMAND_LINE, record


class Shelf:
    """The database as a `flyte_client.flow_sync.Shelf`."""

    def check(self, text: str) -> Checked:
        """What saving the text would do."""
        proposal = propose(text)
        found = proposal.checked
        findings = [Finding(one.kind, one.path, one.message, one.line, one.column) for one in found.findings]
        name = found.document.name if found.document else ""
        return Checked(name, proposal.change, proposal.version, proposal.diff, findings)

    def names(self) -> list[str]:
        """The names of all flows."""
        return list(Flow.objects.order_by("name").values_list("name", flat=True))

    def text(self, name: str) -> str:
        """A flow as a text that can be saved again. Raises `FilesError` where there is none."""
        flow = Flow.objects.select_related("version").filter(name=name).first()
        if flow is None:
            raise FilesError(f"there is no flow {name!r}")
        return as_file(flow)

    def save(self, text: str, checked: Checked, note: str) -> None:
        """Save the flow. Raises `FlyteError` where it is on another version than the one that was checked."""
        found = propose(text).checked
        if found.document is None:
            raise FlyteError(f"{checked.name}: the text is no flow any more")
        kept = {"source": text, "media_type": MEDIA_TYPES[found.language], "saved_by": COMMAND_LINE.name, "note": note}
        try:
            flow = saving.save(found.document, expected=checked.version, **kept)
        except saving.ConflictError as conflict:
            raise FlyteError(f"{checked.name}: {conflict}") from None
        record(COMMAND_LINE, "saved", "flow", flow.name, version=flow.version_id, note=note)

    def delete(self, name: str) -> None:
        """Delete the flow; one that is gone already is fine."""
        if saving.delete(name):
            record(COMMAND_LINE, "deleted", "flow", name)


def undivided() -> AbstractContextManager[object]:
    """All that is done in the block happens, or nothing."""
    return transaction.atomic()
