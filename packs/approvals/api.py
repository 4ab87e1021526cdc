"""The REST API of approvals: list, get, decide."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from flyte_site.auth.activity_log import actor_of_caller
from flyte_site.auth.principals import get_principal
from flyte_site.core.timestamps import format_rfc3339
from flyte_site.http.fields import (
    InputSerializer,
    LinkSerializer,
    StrictTextField,
    problem_responses,
    reject_control_characters,
)
from flyte_site.http.links import LinkBuilder
from flyte_site.http.problems import Problem, not_found
from flyte_site.http.request_body import parse_body
from flyte_site.http.views import PAGE_SIZE, APIView, get_integer_parameter
from packs.approvals import service
from packs.models import Approval

MAX_ID = 2**63 - 1


def reject_nul(value: str) -> None:
    if "\x00" in value:
        raise serializers.ValidationError("must not contain a NUL character")


class StrictBooleanField(serializers.BooleanField):
    """A boolean that accepts only JSON's true and false."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise serializers.ValidationError("must be true or false")
        return data


class DecisionInput(InputSerializer):
    """A decision. `by` names who decided, if the server has no authentication."""

    approved = StrictBooleanField()
    comment = StrictTextField(max_length=service.MAX_COMMENT_LENGTH, validators=[reject_nul], default="")
    by = StrictTextField(max_length=200, validators=[reject_control_characters], default="")


class ApprovalOutput(serializers.Serializer[Any]):
    """A question, with its decision if there is one."""

    id = serializers.CharField(help_text="The id of the action.")
    question = serializers.CharField()
    details = serializers.JSONField(required=False)
    flowName = serializers.CharField()  # noqa: N815
    correlationId = serializers.CharField()  # noqa: N815
    askedAt = serializers.DateTimeField()  # noqa: N815
    endsAt = serializers.DateTimeField()  # noqa: N815
    approved = serializers.BooleanField(required=False)
    by = serializers.CharField(required=False)
    comment = serializers.CharField(required=False)
    decidedAt = serializers.DateTimeField(required=False)  # noqa: N815
    links = LinkSerializer(many=True)


class ApprovalList(serializers.Serializer[Any]):
    """Open questions, with a `next` link if there are more."""

    approvals = ApprovalOutput(many=True)
    links = LinkSerializer(many=True)


class ApprovalListView(APIView):
    """Open approvals."""

    @extend_schema(
        operation_id="listApprovals",
        summary="List open approvals",
        tags=["approval"],
        parameters=[OpenApiParameter("after", OpenApiTypes.INT, description="Cursor from the `next` link.")],
        responses={200: ApprovalList, **problem_responses(400)},
    )
    def get(self, request: Request) -> Response:
        """List the questions that can be decided now, oldest first."""
        rows = service.list_open_approvals(get_integer_parameter(request, "after", 0, maximum=MAX_ID), PAGE_SIZE + 1)
        links = [self.links.to("self", "v1", "approvals"), self.links.to("up", "v1")]
        if len(rows) > PAGE_SIZE:
            links.append(self.links.to("next", "v1", "approvals", query=f"after={rows[PAGE_SIZE - 1].pk}"))
        return Response(
            {"approvals": [serialize_approval(row, self.links) for row in rows[:PAGE_SIZE]], "links": links}
        )


class ApprovalView(APIView):
    """One approval."""

    @extend_schema(
        operation_id="getApproval",
        summary="Get an approval",
        tags=["approval"],
        responses={200: ApprovalOutput, **problem_responses(404)},
    )
    def get(self, request: Request, action_id: str) -> Response:
        """Return the question of an action, decided or not."""
        return Response(serialize_approval(get_approval_or_404(action_id), self.links))

    @extend_schema(
        operation_id="decide",
        summary="Approve or reject",
        tags=["approval"],
        request=DecisionInput,
        responses={200: ApprovalOutput, **problem_responses(400, 404, 409)},
    )
    def post(self, request: Request, action_id: str) -> Response:
        """Approve or reject; the flow then continues. The first decision counts; repeating it changes nothing."""
        approval = get_approval_or_404(action_id)
        values = DecisionInput().validate_data(parse_body(request))
        decided_by = resolve_decider(request, values["by"])
        try:
            approval = (
                service.decide_approval(
                    action_id, actor_of_caller(request), values["approved"], values["comment"], decided_by
                )
                or approval
            )
        except service.ApprovalNotOpenError as error:
            raise Problem(409, str(error)) from None
        return Response(serialize_approval(approval, self.links))


def get_approval_or_404(action_id: str) -> Approval:
    """Return the approval of an action. Raise `Problem` 404."""
    approval = service.find_approval(action_id)
    if approval is None:
        raise not_found(f"approval {action_id!r}")
    return approval


def resolve_decider(request: Request, claimed_name: str) -> str:
    """Return the name of the decider: from the token or, without authentication, the claimed name."""
    principal = get_principal(request)
    return (
        principal.actor_name
        if principal.kind != "anonymous"
        else f"anonymous ({claimed_name})"
        if claimed_name
        else "anonymous"
    )


def serialize_approval(approval: Approval, links: LinkBuilder) -> dict[str, Any]:
    """Return `ApprovalOutput` data; empty fields are omitted."""
    body: dict[str, Any] = {"id": approval.action_id, "question": approval.question}
    if approval.details is not None:
        body["details"] = approval.details
    body |= {"flowName": approval.flow_name, "correlationId": approval.correlation_id}
    body |= {"askedAt": format_rfc3339(approval.asked_at), "endsAt": format_rfc3339(approval.ends_at)}
    if approval.decided_at:
        body |= {"approved": approval.approved, "by": approval.decided_by, "comment": approval.comment}
        body |= {"decidedAt": format_rfc3339(approval.decided_at)}
    self_link = links.to("self", "v1", "approvals", approval.action_id)
    execution_link = links.to("execution", "v1", "audit", "flows", approval.correlation_id)
    return body | {"links": [self_link, execution_link]}
