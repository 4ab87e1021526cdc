"""Packs over REST: register, list, look at, delete, take an action."""

from time import perf_counter
from typing import Any

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from flyte_site import tracing
from flyte_site.changes import caller
from flyte_site.meters import observe_take
from flyte_site.rest.bodies import media_type, read_document
from flyte_site.rest.fields import problems
from flyte_site.rest.media import empty
from flyte_site.rest.negotiation import rendered
from flyte_site.rest.problems import not_found
from flyte_site.rest.views import APIView, PlainView, by_name, listing, refuse_nul, whole_number
from packs import queue, registry, serializers, waiting
from packs.models import Action, Pack

log = structlog.get_logger(__name__)

COMMAND_PARAMETERS = ("actionName", "commandName")
LONGEST_WAIT = 30
LEASE_HEADERS = (
    OpenApiParameter("Flyte-Lease", int, "header", description="For how many seconds it is yours.", response=[200]),
    OpenApiParameter("Link", str, "header", description='rel="heartbeat": where to extend that.', response=[200]),
)


class PackListView(APIView):
    """All packs, and the door for new ones."""

    @extend_schema(
        operation_id="listPacks", tags=["pack"], parameters=[OpenApiParameter("after")], responses=serializers.PackList
    )
    def get(self, request: Request) -> Response:
        """The packs in the order of their ids."""
        page, links = listing(
            by_name(Pack.objects.all(), "identity", request), "identity", self.links, "packs", "#/pack"
        )
        return Response({"links": links, "packs": [serializers.summary(pack, self.links) for pack in page]})

    @extend_schema(
        operation_id="registerPack",
        tags=["pack"],
        request=serializers.PackInput,
        responses={201: serializers.PackOutput, **problems(400)},
    )
    def post(self, request: Request) -> Response:
        """Register a pack; one of the same name and labels is replaced."""
        values = serializers.PackInput().valid(read_document(request, serializers.TEXT_PLACES))
        registry.refuse_to_register(request, values)
        pack = registry.register(values, caller(request))
        # What was posted comes back as it was, a null list of events too; later it reads as an empty list.
        pack.commands = values["commands"]
        log.info("pack_registered", pack=pack.identity)
        location = self.links.href("v1", "packs", pack.identity)
        headers = {"Location": location, **long_poll()}
        return Response(serializers.detail(pack, self.links), status=201, headers=headers)


class PackView(APIView):
    """One pack."""

    @extend_schema(operation_id="getPack", tags=["pack"], responses={200: serializers.PackOutput, **problems(404)})
    def get(self, request: Request, pack_id: str) -> Response:
        """The pack with all that it declared."""
        return Response(serializers.detail(registry.find(pack_id), self.links))

    @extend_schema(operation_id="deletePack", tags=["pack"], responses={204: None, **problems(404)})
    def delete(self, request: Request, pack_id: str) -> Any:
        """Forget the pack. Actions that wait for packs of its name go on waiting."""
        if registry.find(pack_id).hosted:
            raise registry.is_hosted(pack_id)
        if not registry.forget(pack_id, caller(request)):
            raise not_found(f"pack {pack_id!r}")
        log.info("pack_deleted", pack=pack_id)
        return empty(204)


class TakeView(PlainView):
    """Where packs poll for work."""

    @extend_schema(
        operation_id="takeAction",
        tags=["action"],
        request=None,
        parameters=[
            *(OpenApiParameter(name, description="Take actions of this command alone.") for name in COMMAND_PARAMETERS),
            OpenApiParameter("wait", int, description=f"Seconds to wait for an action, up to {LONGEST_WAIT}."),
            *LEASE_HEADERS,
        ],
        responses={200: serializers.TakenAction, 204: None, **problems(400, 404)},
    )
    def post(self, request: HttpRequest, pack_id: str) -> HttpResponse:
        """Take the oldest action that waits for this pack; 204 when there is none, or none comes within `wait`."""
        seconds = min(whole_number(request, "wait", 0, most=LONGEST_WAIT), settings.FLYTE_LONG_POLL_SECONDS)
        pack, names = registry.acting(pack_id, request), _command_names(request)
        if not seconds:
            return self._answer(pack, take(pack, names), {})
        watcher = waiting.watcher()
        with watcher.place(pack, seconds, filtered=bool(names), caller=_connection(request)) as place:
            action = take(pack, names)
            while action is None and place and place.wait():
                action = take(registry.acting(pack_id, request), names)
        could_wait = place is not None and not watcher.stopped
        return self._answer(pack, action, {} if could_wait else {"Retry-After": waiting.retry_after()})

    def _answer(self, pack: Pack, action: Action | None, headers: dict[str, str]) -> HttpResponse:
        if action is None:
            return empty(204, long_poll() | headers)
        taken = {"action": action.id, "execution": action.correlation_id, "command": action.name}
        log.info("action_taken", pack=pack.identity, **taken)
        headers = long_poll() | serializers.lease(action, pack, self.links)
        if action.traceparent:
            headers[tracing.HEADER] = action.traceparent
        return rendered(self.request, serializers.taken(action, pack, self.links), headers)


def take(pack: Pack, command_names: set[str]) -> Action | None:
    """As `queue.take`, timed."""
    began = perf_counter()
    action = queue.take(pack, command_names)
    observe_take(perf_counter() - began, found=action is not None)
    return action


def long_poll() -> dict[str, str]:
    """The header that tells packs for how long a take may wait, where it may."""
    seconds = settings.FLYTE_LONG_POLL_SECONDS
    return {"Flyte-Long-Poll": str(seconds)} if seconds else {}


def _connection(request: HttpRequest) -> int | None:
    """The file descriptor of the caller's connection, where the server tells it."""
    connection = request.META.get("gunicorn.socket")
    return connection.fileno() if connection else None


def _command_names(request: HttpRequest) -> set[str]:
    """Commands that the caller asks for, in the query or, as the original allows, in a form."""
    given = [request.GET.get(name, "") for name in COMMAND_PARAMETERS] if request.META.get("QUERY_STRING") else []
    if media_type(request)[0] == "application/x-www-form-urlencoded":
        given += [str(request.POST.get(name, "")) for name in COMMAND_PARAMETERS]
        refuse_nul("actionName", given)
    return {name for name in given if name}
