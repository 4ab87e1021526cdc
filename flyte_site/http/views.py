"""Base classes of API views, query parameters and paging by name."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.db import connection
from django.db.models import F, Model, QuerySet
from django.db.models.expressions import Combinable
from django.db.models.functions import Collate
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView as FrameworkView

from flyte_site.http.middleware import format_allow_header
from flyte_site.http.output.links import Link, LinkBuilder
from flyte_site.http.output.serializers import OutputContext, render_output
from flyte_site.http.problems import Problem, invalid_input, to_problem

PAGE_SIZE = 1000
AFTER_PARAMETER = OpenApiParameter("after", description="Start after this item; use the `next` link of the last page.")
MAX_INTEGER_DIGITS = 12
M = TypeVar("M", bound=Model)


def integer_parameter(name: str, description: str) -> OpenApiParameter:
    """Describe a query parameter that `get_integer_parameter` reads."""
    return OpenApiParameter(
        name,
        {"type": "integer", "minimum": 0, "maximum": 10**MAX_INTEGER_DIGITS - 1},
        description=f"{description} Larger values are reduced to the maximum.",
    )


def choice_parameter(name: str, choices: Iterable[str], description: str) -> OpenApiParameter:
    """Describe a query parameter that `get_choice` reads."""
    return OpenApiParameter(name, enum=[*choices], description=description)


def get_choice(request: Request, name: str, choices: Iterable[str]) -> str:
    """Return the value of a query parameter; '' if it is missing. Raises `Problem` 400 for another value."""
    value: str = request.query_params.get(name, "")
    if value and value not in choices:
        raise invalid_input({"path": name, "message": f"must be {' or '.join(choices)}, not {value[:40]!r}"})
    return value


class APIView(FrameworkView):
    """A view with the `Allow` header of the original server in 405 responses, and with HEAD wherever it has GET."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        reject_nul_in_query(request)

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        allowed = format_allow_header(self.methods())
        detail = f"method {request.method} is not allowed; allowed: {allowed}"
        raise Problem(405, detail, headers={"Allow": allowed})

    def methods(self) -> list[str]:
        names = [name.upper() for name in self.http_method_names if name != "head" and hasattr(self, name)]
        return [*names, "HEAD"] if "GET" in names else names

    def head(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        get = getattr(self, "get", None) or self.http_method_not_allowed
        return get(request, *args, **kwargs)

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {"Vary": "Accept"}

    def respond(
        self,
        serializer_class: type[BaseSerializer[Any]],
        instance: Any,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **values: Any,
    ) -> Response:
        """Render the instance with the serializer that describes the response; `values` are for its fields."""
        body = render_output(serializer_class, instance, OutputContext(self.links, values))
        return Response(body, status=status, headers=headers)

    @property
    def links(self) -> LinkBuilder:
        return LinkBuilder(self.request)


class RawView(APIView):
    """A view for the frequent requests of packs, which skips the parts of DRF that they don't need.

    Its methods receive Django's request and return a response of `flyte_site.http.content_types.render_response`.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.request = request  # type: ignore[assignment]
        try:
            reject_nul_in_query(request)
            handler = getattr(self, str(request.method).lower(), self.http_method_not_allowed)
            response: HttpResponse = handler(request, *args, **kwargs)
        except Exception as error:
            problem = to_problem(error)
            if problem is None:
                raise
            response = problem.response()
        if "Vary" in response.headers:
            patch_vary_headers(response, ["Accept"])
        else:
            response.headers["Vary"] = "Accept"
        return response


def reject_nul_in_query(request: HttpRequest) -> None:
    """Reject NUL characters in query parameters. Raises `Problem` 400."""
    query = request.META.get("QUERY_STRING", "")
    if "%00" in query or "\x00" in query:
        for name, values in request.GET.lists():
            reject_nul(name, values)


def reject_nul(name: str, values: Iterable[str]) -> None:
    """Reject NUL characters, which PostgreSQL can't store or compare. Raises `Problem` 400."""
    if any("\x00" in value for value in values):
        raise invalid_input({"path": name, "message": "must not contain NUL characters"})


def get_integer_parameter(request: HttpRequest, name: str, default: int, *, maximum: int) -> int:
    """Return a query parameter as an integer from 0, limited to `maximum`. Raises `Problem` 400."""
    text = request.GET.get(name, "") if request.META.get("QUERY_STRING") else ""
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > MAX_INTEGER_DIGITS:
        raise invalid_input({"path": name, "message": f"must be a non-negative integer, not {text[:40]!r}"})
    return min(int(text), maximum)


def byte_order(field: str) -> Combinable:
    """Order a text column by code points, regardless of the database's collation."""
    return Collate(field, "C") if connection.vendor == "postgresql" else F(field)


def order_by_name(rows: QuerySet[M], field: str, request: Request) -> QuerySet[M]:
    """Order rows by the byte order of a text field, starting after the value of the query parameter `after`."""
    ordered: QuerySet[M] = rows.alias(page_key=byte_order(field)).order_by("page_key")  # type: ignore[assignment]
    after = request.query_params.get("after", "")
    return ordered.filter(page_key__gt=after) if after else ordered


def name_page(
    rows: QuerySet[M], cursor: str, links: LinkBuilder, collection: str, help_anchor: str
) -> tuple[list[M], list[Link]]:
    """Return the first page of rows, and the links of that page.

    If more rows follow, the links include `next`; its `after` is the `cursor` field of the last row of the page.
    """
    page = list(rows[: PAGE_SIZE + 1])
    page_links = [links.to("self", "v1", collection), links.to("up", "v1"), links.help(help_anchor)]
    if len(page) > PAGE_SIZE:
        query = urlencode({"after": getattr(page[PAGE_SIZE - 1], cursor)})
        page_links.append(links.to("next", "v1", collection, query=query))
    return page[:PAGE_SIZE], page_links
