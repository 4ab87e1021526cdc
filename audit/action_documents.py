"""Documents of actions in responses of the API, within a number of bytes.

The documents of an action are its trigger, result, input, context and history. A list leaves out the large ones, and a
detail those that exceed its budget: what is left out is not read, and the response has its size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Case, F, Func, IntegerField, QuerySet, Value, When
from django.db.models.functions import Left

from flows.definition import read_outline
from flows.models import Event, Execution
from flyte_site.db.fields import encode_json
from flyte_site.db.large_values import (
    MIN_LARGE_BYTES,
    REFERENCE_MARK,
    LargeJSONField,
    LargeValueLoader,
    StoredDocument,
)
from packs.models import Action

MAX_LISTED_BYTES = MIN_LARGE_BYTES
"""The size up to which a list has a document."""
MAX_PAGE_BYTES = 4 * 1024**2
"""The size of a page of a list. Its first row can be larger, if its flow is."""
MAX_EXECUTION_BYTES = 8 * 1024**2
"""The size of all documents of an execution."""
MAX_STEP_BYTES = 40 * 1024**2
"""The size of all documents of one action; its trigger and its result can have 16 MiB each."""
# With documents of MAX_LISTED_BYTES, about 80 MB of text.
MAX_LOADED_ACTIONS = 2_000
# Bytes of an action and of an event in JSON without their documents, roughly.
ACTION_BYTES, EVENT_BYTES = 1_000, 500
# The first ones take from the budget first.
DOCUMENTS = ("trigger", "result", "input", "context", "attempt_log")
EMPTY_DOCUMENTS: dict[str, Any] = {"input": None, "context": {}, "attempt_log": []}


class _ByteLength(Func):
    """The length of a text in bytes. JSON is ASCII; PostgreSQL can count its characters only by reading them all."""

    function = "octet_length"
    output_field = IntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, function="length", **context)


@dataclass
class LoadedActions:
    """Actions with their documents, oldest first, by execution; and the sizes of those that are left out, by the id of
    the action and the name of the document.
    """

    by_execution: dict[str, list[Action]] = field(default_factory=dict)
    omitted_bytes: dict[tuple[str, str], int] = field(default_factory=dict)


def load_page(executions: Sequence[Execution]) -> LoadedActions:
    """Load the actions of the first executions, as many as a page has room for, but at least one.

    Needs the executions' versions. One query for MAX_LOADED_ACTIONS actions.
    """
    page, page_bytes = LoadedActions(), 0
    version_bytes: dict[str, int] = {}
    for group in _iter_groups(executions):
        actions = _fetch_actions(group)
        for execution in group:
            reader = _DocumentReader(page.omitted_bytes, MAX_LISTED_BYTES, MAX_PAGE_BYTES)
            reader.read_all(actions[execution.id])
            if execution.version_id not in version_bytes:
                version_bytes[execution.version_id] = len(encode_json(execution.version.document))
            page_bytes += version_bytes[execution.version_id] + len(encode_json(execution.errors)) + reader.used_bytes
            if page.by_execution and page_bytes > MAX_PAGE_BYTES:
                return page
            page.by_execution[execution.id] = actions[execution.id]
    return page


def _iter_groups(executions: Sequence[Execution]) -> Iterator[list[Execution]]:
    """Divide the executions into groups whose flows have at most MAX_LOADED_ACTIONS steps together."""
    group: list[Execution] = []
    steps = 0
    for execution in executions:
        steps += (own_steps := len(read_outline(execution.version.document).steps))
        if group and steps > MAX_LOADED_ACTIONS:
            yield group
            group, steps = [], own_steps
        group.append(execution)
    if group:
        yield group


def load_execution(execution: Execution, step_id: str = "") -> LoadedActions:
    """Load the actions of one execution, or only the action of a step, which has a larger budget."""
    loaded = LoadedActions(_fetch_actions([execution], {"step_id": step_id} if step_id else {}))
    max_bytes = MAX_STEP_BYTES if step_id else MAX_EXECUTION_BYTES
    _DocumentReader(loaded.omitted_bytes, max_bytes, max_bytes).read_all(loaded.by_execution[execution.id])
    return loaded


def _fetch_actions(executions: Sequence[Execution], filters: dict[str, str] | None = None) -> dict[str, list[Action]]:
    """Fetch the actions of executions, oldest first. Long documents that are plain JSON are not read. One query."""
    by_id: dict[str, list[Action]] = {execution.id: [] for execution in executions}
    queryset = Action.objects.filter(correlation_id__in=list(by_id), **filters or {}).defer(*DOCUMENTS)
    for action in _annotate_documents(queryset, DOCUMENTS).order_by("id"):
        by_id[action.correlation_id].append(action)
    return by_id


def _annotate_documents(queryset: "QuerySet[Any]", names: Sequence[str]) -> "QuerySet[Any]":
    """Add the length and the start of each document's text, and the document if it is short or a reference."""
    for name in names:
        length, mark, document = f"{name}_length", f"{name}_mark", f"{name}_document"
        queryset = queryset.alias(**{mark: Left(name, 1)}).annotate(**{length: _ByteLength(name)})
        is_read: list[dict[str, Any]] = [{f"{length}__lte": MAX_LISTED_BYTES}, {mark: Value(REFERENCE_MARK)}]
        whens = [When(**condition, then=F(name)) for condition in is_read]
        queryset = queryset.annotate(**{document: Case(*whens, output_field=LargeJSONField())})
    return queryset


def _get_size(document: Any, length: int) -> int:
    """Return the size of a document in bytes; `length` is that of the text in its own row."""
    return document.size if isinstance(document, StoredDocument) else length


class _DocumentReader:
    """Reader of the documents of one execution's actions within `max_bytes`; counts the bytes that it has read."""

    def __init__(self, omitted_bytes: dict[tuple[str, str], int], max_document_bytes: int, max_bytes: int) -> None:
        self.used_bytes = 0
        self._omitted_bytes = omitted_bytes
        self._max_document_bytes, self._max_bytes = max_document_bytes, max_bytes
        self._loader = LargeValueLoader()

    def read_all(self, actions: Sequence[Action]) -> None:
        self.used_bytes += ACTION_BYTES * len(actions)
        for name in DOCUMENTS:
            for action in actions:
                setattr(action, name, self._read(action, name))

    def _read(self, action: Action, name: str) -> Any:
        """Return the document, or what a response has in its place."""
        document, length = getattr(action, f"{name}_document"), getattr(action, f"{name}_length") or 0
        size = _get_size(document, length)
        if not size:
            return document
        if size > self._max_document_bytes or self.used_bytes + size > self._max_bytes:
            return self._omit(action, name, document, size)
        self.used_bytes += size
        if document is None and length > MAX_LISTED_BYTES:
            document = _fetch_document(action, name)
        return self._load(document)

    def _load(self, document: Any) -> Any:
        if not isinstance(document, StoredDocument):
            return document
        document.loader = self._loader
        return document.load()

    def _omit(self, action: Action, name: str, document: Any, size: int) -> Any:
        if name in EMPTY_DOCUMENTS:
            self._omitted_bytes[action.id, name] = size
            return EMPTY_DOCUMENTS[name]
        head = document.head if isinstance(document, StoredDocument) else document
        if head is None:
            # A row of an earlier version: its event is needed, so that all of it is read.
            self.used_bytes += size
            head = self._load(document or _fetch_document(action, name))
        return {**{key: value for key, value in head.items() if key != "payload"}, "payloadBytes": size}


def _fetch_document(action: Action, name: str) -> Any:
    return Action.objects.filter(id=action.id).values_list(name, flat=True).first()


def load_events(ids: Sequence[str]) -> list[Event]:
    """Load the first events with these ids, as many as a page has room for, but at least one; large payloads are left
    out. One query, and another one for each long list of outcomes.
    """
    queryset = Event.objects.order_by().defer("payload", "outcomes")
    events = _annotate_documents(queryset, ("payload", "outcomes")).in_bulk(list(ids))
    page: list[Event] = []
    page_bytes = 0
    for event in [events[event_id] for event_id in ids if event_id in events]:
        payload: Any = event.payload_document
        size = _get_size(payload, event.payload_length or 0)
        is_listed = size <= MAX_LISTED_BYTES
        page_bytes += EVENT_BYTES + event.outcomes_length + (size if is_listed else 0)
        if page and page_bytes > MAX_PAGE_BYTES:
            break
        event.payload = payload if is_listed else None
        event.payload_bytes = event.payload_bytes if is_listed else size
        if event.outcomes_document is not None:
            event.outcomes = event.outcomes_document  # otherwise it is read when it is rendered
        page.append(event)
    return page
