"""The REST API of approvals: list, get, decide."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from flyte_site.auth.activity_log import actor_of_caller
from flyte_site.auth.principals import get_principal
from flyte_site.db.keyset import fetch_page
from flyte_site.http.input.body import parse_body
from flyte_site.http.input.fields import (
    InputSerializer,
    LinkSerializer,
    StrictTextField,
    problem_responses,
    reject_control_characters,
)
from flyte_site.http.output.links import Link
from flyte_site.http.output.serializers import LinksField, OutputContext, OutputSerializer, TimestampField
from flyte_site.http.problems import Problem, not_found
from flyte_site.http.views import PAGE_SIZE, APIView, get_integer_parameter, integer_parameter
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


class ApprovalOutput(OutputSerializer):
    """A question, with its decision if there is one."""

    id = serializers.CharField(source="action_id", help_text="The id of the action.")
    question = serializers.CharField(allow_blank=True)
    details = serializers.JSONField(required=False)
    flowName = serializers.CharField(source="flow_name")  # noqa: N815
    correlationId = serializers.CharField(source="correlation_id")  # noqa: N815
    askedAt = TimestampField(source="asked_at")  # noqa: N815
    endsAt = TimestampField(source="ends_at")  # noqa: N815
    approved = serializers.BooleanField(source="decision.approved", required=False)
    by = serializers.CharField(source="decision.decided_by", required=False, allow_blank=True)
    comment = serializers.CharField(source="decision.comment", required=False, allow_blank=True)
    decidedAt = TimestampField(source="decision.decided_at", required=False)  # noqa: N815
    links = LinksField()

    def get_links(self, approval: Approval, context: OutputContext) -> list[Link]:
        return [
            context.links.to("self", "v1", "approvals", approval.action_id),
            context.links.to("execution", "v1", "audit", "flows", approval.correlation_id),
        ]


class ApprovalList(OutputSerializer):
    """Open questions, with a `next` link if there are more."""

    approvals = ApprovalOutput(many=True)
    links = LinkSerializer(many=True)


class ApprovalListView(APIView):
    """Open approvals."""

    @extend_schema(
        operation_id="listApprovals",
        summary="List pending approvals",
        tags=["approval"],
        parameters=[integer_parameter("after", "Cursor from the `next` link.")],
        responses={200: ApprovalList, **problem_responses(400)},
    )
    def get(self, request: Request) -> Response:
        """List the questions that can be decided now, oldest first."""
        after = get_integer_parameter(request, "after", 0, maximum=MAX_ID)
        page = fetch_page(service.open_approvals(timezone.now()), "pk", PAGE_SIZE, after=after)
        links = [self.links.to("self", "v1", "approvals"), self.links.to("up", "v1")]
        if page.next_key:
            links.append(self.links.to("next", "v1", "approvals", query=f"after={page.next_key}"))
        return self.respond(ApprovalList, {"approvals": page.rows, "links": links})


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
        return self.respond(ApprovalOutput, get_approval_or_404(action_id))

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
        values = DecisionInput().parse_values(parse_body(request))
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
        return self.respond(ApprovalOutput, approval)


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
