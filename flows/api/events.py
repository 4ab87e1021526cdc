"""API for packs: events, results of actions, and heartbeats."""

import hashlib
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema

from flows.api import serializers
from flows.api.cloud_events import (
    BATCH_TYPE,
    EVENT_TYPE,
    REQUIRED_HEADERS,
    TYPE_PREFIX,
    CloudEvent,
    CloudEventInput,
    read_cloud_events,
)
from flows.engine.complete import complete_found_action
from flows.engine.handle_event import (
    MAX_IDEMPOTENCY_KEY_LENGTH,
    IdempotencyKey,
    IdempotencyKeyReusedError,
    handle_event,
)
from flows.engine.matching import subscribed_flows_query
from flows.engine.step import EventSource, IncomingEvent
from flyte_formats.characters import has_control_characters
from flyte_site.core.observability.metrics import time_intake
from flyte_site.http.content_types import JSON_TYPE, YAML_TYPES, empty_response
from flyte_site.http.input.body import describe_body_size, get_content_length, parse_body, parse_content_type
from flyte_site.http.input.byte_budget import RESULT_BUDGET
from flyte_site.http.input.fields import MAX_NAME_LENGTH, problem_responses
from flyte_site.http.problems import ErrorItem, Problem, invalid_input, not_found
from flyte_site.http.views import RawView, get_integer_parameter, integer_parameter
from packs import registry
from packs.models import Action, ActionState, Pack
from packs.queue import action_queue
from packs.queue.leases import extend_lease
from packs.queue.results import FATAL_EVENT, ResultStatus

IDEMPOTENCY_KEY_HEADER, IDEMPOTENCY_KEY_META = "Idempotency-Key", "HTTP_IDEMPOTENCY_KEY"
REPEATED_HEADER = "Idempotent-Replayed"
MAX_ATTEMPT = 30_000
ATTEMPT_PARAMETER = integer_parameter("attempt", "The attempt, from the action's result link; 1 if absent.")
IDEMPOTENCY_KEY_PARAMETER = OpenApiParameter(
    IDEMPOTENCY_KEY_HEADER,
    location="header",
    description=f"Unique key of the event, at most {MAX_IDEMPOTENCY_KEY_LENGTH} characters: it is handled once.",
)
EVENT_REQUESTS = {
    JSON_TYPE: serializers.EventInput,
    YAML_TYPES[0]: serializers.EventInput,
    EVENT_TYPE: CloudEventInput,
    BATCH_TYPE: CloudEventInput(many=True),
}
REPEATED_PARAMETER = OpenApiParameter(
    REPEATED_HEADER,
    location="header",
    enum=["true"],
    description="The event was received before with the same key, and had no further effect.",
    response=[202],
)
# Created once: each use of it would copy its fields.
EVENT_INPUT_SERIALIZER = serializers.EventInput()


class PostEventView(RawView):
    """Events from packs."""

    @extend_schema(
        operation_id="event",
        summary="Post an event",
        tags=["event"],
        request=EVENT_REQUESTS,
        parameters=[IDEMPOTENCY_KEY_PARAMETER, REPEATED_PARAMETER],
        responses={202: None, **problem_responses(400, 404, 409, 422)},
    )
    def post(self, request: HttpRequest, pack_id: str) -> HttpResponse:
        """Post an event. 202 means that the event and everything it causes is stored.

        The event can also be a CloudEvent, in structured, binary or batched mode.
        """
        if is_cloud_event(request):
            pack = registry.authenticate_pack(pack_id, request)
            return accept_event(handle_cloud_events(read_cloud_events(request), pack))
        try:
            values = read_event_values(request)
        except Problem:
            registry.authenticate_pack(pack_id, request)  # whose errors take precedence
            raise
        query = subscribed_flows_query(pack_id, values["event"])
        pack, (flows,) = registry.authenticate_pack_and_read(pack_id, request, query)
        event, key = build_event(values, pack), read_idempotency_key(request)
        try:
            with time_intake("event"):
                is_new = handle_event(event, key, flows)
        except IdempotencyKeyReusedError:
            raise Problem(422, f"this {IDEMPOTENCY_KEY_HEADER} was already used for a different event") from None
        return accept_event(is_new)


class PostResultView(RawView):
    """Results of actions."""

    @extend_schema(
        operation_id="actionResult",
        summary="Post an action's result",
        tags=["action"],
        request=serializers.EventInput,
        parameters=[ATTEMPT_PARAMETER],
        responses={202: None, **problem_responses(400, 404, 409)},
    )
    def post(self, request: HttpRequest, pack_id: str, action_id: str) -> HttpResponse:
        """Post the result of an action, which is an event: `FATAL` if the command failed unexpectedly.

        Posting the same result again has no effect. A different result, or one of a finished attempt, returns 409. A
        result that is too large ends the attempt with FATAL and returns 413.
        """
        query = action_queue.action_query(action_id)
        pack, (actions,) = registry.authenticate_pack_and_read(pack_id, request, query)
        action: Action | None = next(iter(actions), None)
        attempt, size = read_attempt(request), get_content_length(request)
        if size > settings.FLYTE_MAX_RESULT_BYTES:
            event = build_too_large_event(pack, describe_body_size(request))
            post_result(action_id, action, pack, event, attempt)
            raise Problem(413, f"{event.payload['message']}; the attempt ended with FATAL")
        with reserve_result_bytes(size):
            post_result(action_id, action, pack, build_event(read_event_values(request), pack), attempt)
        return empty_response(202)


class HeartbeatView(RawView):
    """Heartbeats of packs during an action."""

    @extend_schema(
        operation_id="extendAction",
        summary="Extend an action's lease",
        tags=["action"],
        request=None,
        parameters=[ATTEMPT_PARAMETER],
        responses={204: None, **problem_responses(404, 409)},
    )
    def post(self, request: HttpRequest, pack_id: str, action_id: str) -> HttpResponse:
        """Extend the lease of an action. 409 means that the pack has lost the action; its result will be rejected."""
        pack = registry.authenticate_pack(pack_id, request)
        if extend_lease(action_id, pack, read_attempt(request)):
            return empty_response(204)
        if not Action.objects.filter(id=action_id).exists():
            raise not_found(f"action {action_id!r}")
        raise Problem(409, "the action is no longer leased to this pack")


def accept_event(is_new: bool) -> HttpResponse:
    """Build the response for an event that is stored; it says so if the event was received before."""
    return empty_response(202, None if is_new else {REPEATED_HEADER: "true"})


def post_result(action_id: str, action: Action | None, pack: Pack, event: IncomingEvent, attempt: int) -> None:
    """Complete the action with its result. Raises `Problem` 404 or 409."""
    with time_intake("result"):
        status = complete_found_action(action, pack, event, attempt) if action else None
    if status is None:
        raise not_found(f"action {action_id!r}")
    if status is ResultStatus.REJECTED:
        raise Problem(409, explain_refusal(action_id, pack, attempt))


def reserve_result_bytes(size: int) -> AbstractContextManager[None]:
    """Reserve the bytes of a result that is larger than other bodies may be. Raises `Problem` 503."""
    if size <= settings.FLYTE_MAX_BODY_BYTES:
        return nullcontext()
    return RESULT_BUDGET.reserve(size, settings.FLYTE_MAX_RESULT_BYTES_IN_FLIGHT)


def build_too_large_event(pack: Pack, size: str) -> IncomingEvent:
    """Build the FATAL event that replaces a result that is too large to be read."""
    now = timezone.now()
    limit = settings.FLYTE_MAX_RESULT_BYTES
    message = f"the result has {size}, over the limit of {limit} bytes (FLYTE_MAX_RESULT_BYTES)"
    payload = {"reason": "result too large", "message": message, "packId": pack.identity}
    return IncomingEvent(EventSource.of_pack(pack), FATAL_EVENT, payload, now, now)


def handle_cloud_events(cloud_events: list[CloudEvent], pack: Pack) -> bool:
    """Handle all events; return False if all were received before.

    Raises `Problem` 422 if some have the source and id of a different event.
    """
    reused_keys: list[ErrorItem] = []
    is_any_new = not cloud_events
    for index, cloud_event in enumerate(cloud_events):
        now = timezone.now()
        event = IncomingEvent(
            pack=EventSource.of_pack(pack),
            name=cloud_event.name,
            payload=cloud_event.payload,
            created_at=cloud_event.created_at or now,
            received_at=now,
        )
        try:
            with time_intake("event"):
                is_new = handle_event(event, IdempotencyKey(cloud_event.key, cloud_event.digest))
            is_any_new = is_any_new or is_new
        except IdempotencyKeyReusedError:
            message = f"source {cloud_event.source!r} and id {cloud_event.id!r} were already used for a different event"
            reused_keys.append({"path": f"[{index}].id" if len(cloud_events) > 1 else "id", "message": message})
    if reused_keys:
        raise Problem(422, reused_keys[0]["message"], errors=reused_keys)
    return is_any_new


def is_cloud_event(request: HttpRequest) -> bool:
    """Return True if the request has one of the content types or headers of CloudEvents."""
    if request.META.get("CONTENT_TYPE") != JSON_TYPE and parse_content_type(request)[0].startswith(TYPE_PREFIX):
        return True
    return not REQUIRED_HEADERS.isdisjoint(request.META)


def is_minimal_event(data: Any) -> bool:
    """Return whether the value is an event that `EventInput` would return unchanged: a printable name and perhaps a
    payload.

    Most packs send such events; skipping the serializer saves time.
    """
    if type(data) is not dict or not data.keys() <= {"event", "payload"}:
        return False
    name = data.get("event")
    return type(name) is str and 0 < len(name) <= MAX_NAME_LENGTH and name.isprintable()


def read_attempt(request: HttpRequest) -> int:
    """Return the attempt that the link names; the first if it names none."""
    if not request.META.get("QUERY_STRING"):
        return 1
    return get_integer_parameter(request, "attempt", 1, maximum=MAX_ATTEMPT)


def read_idempotency_key(request: HttpRequest) -> IdempotencyKey | None:
    """Return the event's idempotency key, if the sender set one. Raises `Problem` 400."""
    key = _decode_header(request.META.get(IDEMPOTENCY_KEY_META, ""))
    if not key:
        return None
    if len(key) > MAX_IDEMPOTENCY_KEY_LENGTH or has_control_characters(key):
        raise invalid_input(
            {
                "path": IDEMPOTENCY_KEY_HEADER,
                "message": f"must have at most {MAX_IDEMPOTENCY_KEY_LENGTH} printable characters",
            }
        )
    content_type = request.META.get("CONTENT_TYPE", "")
    return IdempotencyKey(key, hashlib.sha256(content_type.encode() + b"\n" + request.body).hexdigest())


def _decode_header(value: str) -> str:
    """Decode the value of a header as UTF-8 if possible; WSGI decodes headers as Latin-1."""
    try:
        return value if value.isascii() else value.encode("latin-1").decode()
    except UnicodeError:
        return value


def read_event_values(request: HttpRequest) -> Mapping[str, Any]:
    """Return the fields of the event in the body. Raises `Problem` 400."""
    data = parse_body(request, serializers.EVENT_TEXT_FIELDS)
    values: Mapping[str, Any] = data if is_minimal_event(data) else EVENT_INPUT_SERIALIZER.parse_values(data)
    return values


def build_event(values: Mapping[str, Any], pack: Pack) -> IncomingEvent:
    """Build the event of these fields, from the pack in the path."""
    now = timezone.now()
    return IncomingEvent(
        pack=EventSource.of_pack(pack),
        name=values["event"],
        payload=values.get("payload"),
        created_at=values.get("createdAt") or now,
        received_at=now,
    )


def explain_refusal(action_id: str, pack: Pack, attempt: int) -> str:
    """Return the reason why a result is rejected."""
    action = Action.objects.filter(id=action_id).first()
    if action is None or not pack.can_take(action):
        return "the action requires a pack with a different name or labels"
    if action.is_queued:
        return "the action has not been taken, so it cannot have a result"
    if action.state == ActionState.PENDING:
        return f"the action is at attempt {action.attempt}, not {attempt}; this result is ignored"
    return (
        f"attempt {action.attempt} already finished with {action.state}; a different or late result cannot replace it"
    )
