"""The REST API of packs: register, list, get, delete, and take an action."""

from time import perf_counter
from typing import Any

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from flyte_site.auth.activity_log import actor_of_caller
from flyte_site.core.observability import tracing
from flyte_site.core.observability.metrics import observe_take
from flyte_site.http.content_types import JSON_TYPE, empty_response, render_response
from flyte_site.http.input.body import parse_body, parse_content_type
from flyte_site.http.input.fields import problem_responses
from flyte_site.http.output.links import LinkBuilder
from flyte_site.http.problems import not_found
from flyte_site.http.views import (
    AFTER_PARAMETER,
    APIView,
    RawView,
    get_integer_parameter,
    integer_parameter,
    name_page,
    order_by_name,
    reject_nul,
)
from packs import registry, serializers
from packs.models import Action, Pack
from packs.queue import long_poll
from packs.queue.take import take

log = structlog.get_logger(__name__)

COMMAND_PARAMETERS = ("actionName", "commandName")
MAX_WAIT_SECONDS = 30
LEASE_HEADERS = (
    OpenApiParameter("Flyte-Lease", int, "header", description="Length of the lease in seconds.", response=[200]),
    OpenApiParameter("Link", str, "header", description='rel="heartbeat": URL to extend the lease.', response=[200]),
)


class PackListView(APIView):
    """All packs, and registration."""

    @extend_schema(
        operation_id="listPacks",
        summary="List packs",
        tags=["pack"],
        parameters=[AFTER_PARAMETER],
        responses=serializers.PackList,
    )
    def get(self, request: Request) -> Response:
        """List the packs in the order of their ids."""
        page, links = name_page(
            order_by_name(Pack.objects.all(), "identity", request), "identity", self.links, "packs", "#/pack"
        )
        return self.respond(serializers.PackList, {"links": links, "packs": page})

    @extend_schema(
        operation_id="registerPack",
        summary="Register a pack",
        tags=["pack"],
        request=serializers.PackInput,
        responses={201: serializers.PackOutput, **problem_responses(400, 409)},
    )
    def post(self, request: Request) -> Response:
        """Register a pack. A pack with the same name and labels is replaced."""
        values = serializers.PackInput().parse_values(parse_body(request, serializers.STRING_FIELDS))
        registry.authorize_registration(request, values)
        pack = registry.register(values, actor_of_caller(request))
        # The response repeats the request, including a null list of events; later it reads as an empty list.
        pack.commands = values["commands"]
        log.info("pack_registered", pack=pack.identity)
        location = self.links.href("v1", "packs", pack.identity)
        headers = {"Location": location, **long_poll_headers()}
        return self.respond(serializers.PackOutput, pack, status=201, headers=headers, pack=pack)


class PackView(APIView):
    """One pack."""

    @extend_schema(
        operation_id="getPack",
        summary="Get a pack",
        tags=["pack"],
        responses={200: serializers.PackOutput, **problem_responses(404)},
    )
    def get(self, request: Request, pack_id: str) -> Response:
        """Return the pack with its declaration."""
        pack = registry.find_pack(pack_id)
        return self.respond(serializers.PackOutput, pack, pack=pack)

    @extend_schema(
        operation_id="deletePack",
        summary="Delete a pack",
        tags=["pack"],
        responses={204: None, **problem_responses(404, 409)},
    )
    def delete(self, request: Request, pack_id: str) -> Any:
        """Delete the pack. Queued actions for packs with its name stay queued."""
        if registry.find_pack(pack_id).hosted:
            raise registry.hosted_pack_error(pack_id)
        if not registry.unregister(pack_id, actor_of_caller(request)):
            raise not_found(f"pack {pack_id!r}")
        return empty_response(204)


class TakeView(RawView):
    """The endpoint that packs poll for actions."""

    @extend_schema(
        operation_id="takeAction",
        summary="Take an action",
        tags=["action"],
        request=None,
        parameters=[
            *(OpenApiParameter(name, description="Take only actions of this command.") for name in COMMAND_PARAMETERS),
            integer_parameter("wait", f"Seconds to wait for an action, up to {MAX_WAIT_SECONDS}."),
            *LEASE_HEADERS,
        ],
        responses={200: serializers.TakenAction, 204: None, **problem_responses(400, 404, 409)},
    )
    def post(self, request: HttpRequest, pack_id: str) -> HttpResponse:
        """Take the oldest action that is queued for this pack; 204 if none is queued within `wait` seconds."""
        seconds = min(
            get_integer_parameter(request, "wait", 0, maximum=MAX_WAIT_SECONDS), settings.FLYTE_LONG_POLL_SECONDS
        )
        pack, command_names = registry.authenticate_pack(pack_id, request), _parse_command_names(request)
        if not seconds:
            return self._respond(pack, take_and_time(pack, command_names), {})
        hub = long_poll.long_poll_hub()
        with hub.register(pack, seconds, command_names=command_names, client_fd=_client_fd(request)) as waiter:
            action = take_and_time(pack, command_names)
            while action is None and waiter and waiter.wait():
                action = take_and_time(registry.authenticate_pack(pack_id, request), command_names)
            if action and waiter:
                waiter.record_taken(action.id)
        was_waiting = waiter is not None and not hub.is_stopped
        return self._respond(pack, action, {} if was_waiting else {"Retry-After": long_poll.random_retry_after()})

    def _respond(self, pack: Pack, action: Action | None, headers: dict[str, str]) -> HttpResponse:
        if action is None:
            return empty_response(204, long_poll_headers() | headers)
        log_fields = {"action": action.id, "execution": action.correlation_id, "command": action.name}
        log.info("action_taken", pack=pack.identity, **log_fields)
        data, lease_headers = serializers.serialize_taken_action(action, pack, LinkBuilder(self.request))
        headers = long_poll_headers() | lease_headers
        if action.traceparent:
            headers[tracing.TRACEPARENT_HEADER] = action.traceparent
        return render_response(self.request, data, headers)


def take_and_time(pack: Pack, command_names: set[str]) -> Action | None:
    """Call `take` and record its duration."""
    started = perf_counter()
    action = take(pack, command_names)
    observe_take(perf_counter() - started, has_action=action is not None)
    return action


def long_poll_headers() -> dict[str, str]:
    """Return the header with the maximum wait of a take, if long polling is enabled."""
    seconds = settings.FLYTE_LONG_POLL_SECONDS
    return {"Flyte-Long-Poll": str(seconds)} if seconds else {}


def _client_fd(request: HttpRequest) -> int | None:
    """Return the file descriptor of the client's connection, if the server provides it."""
    client_socket = request.META.get("gunicorn.socket")
    return client_socket.fileno() if client_socket else None


def _parse_command_names(request: HttpRequest) -> set[str]:
    """Return the requested command names, from the query or, as in the original, from a form."""
    values = (
        [request.GET.get(parameter, "") for parameter in COMMAND_PARAMETERS] if request.META.get("QUERY_STRING") else []
    )
    is_json = request.META.get("CONTENT_TYPE", JSON_TYPE) in (JSON_TYPE, "")
    if not is_json and parse_content_type(request)[0] == "application/x-www-form-urlencoded":
        values += [str(request.POST.get(parameter, "")) for parameter in COMMAND_PARAMETERS]
        reject_nul("actionName", values)
    return {parameter for parameter in values if parameter}
