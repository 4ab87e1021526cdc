"""Approvals over REST: what waits for a person, and the decision."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from flyte_site.auth.callers import caller_of
from flyte_site.changes import caller
from flyte_site.rest.bodies import read_document
from flyte_site.rest.fields import InputSerializer, LinkSerializer, Text, no_control_characters, problems
from flyte_site.rest.links import Links
from flyte_site.rest.problems import Problem, not_found
from flyte_site.rest.views import PAGE, APIView, whole_number
from flyte_site.times import to_text
from packs.models import Approval
from packs.webapi import approvals, queries

MOST_ID = 2**63 - 1


def no_nul(value: str) -> None:
    if "\x00" in value:
        raise serializers.ValidationError("must have no NUL character")


class TrueOrFalse(serializers.BooleanField):
    """JSON's true or false, and nothing that could be turned into it."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise serializers.ValidationError("must be true or false")
        return data


class DecisionInput(InputSerializer):
    """A decision. `by` says who decided, where the server does not ask who calls."""

    approved = TrueOrFalse()
    comment = Text(max_length=approvals.MAX_COMMENT, validators=[no_nul], default="")
    by = Text(max_length=200, validators=[no_control_characters], default="")


class ApprovalOutput(serializers.Serializer[Any]):
    """A question, and what was decided."""

    id = serializers.CharField(help_text="The id of the action that asks.")
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
    """Open questions; a `next` link where there are more."""

    approvals = ApprovalOutput(many=True)
    links = LinkSerializer(many=True)


class ApprovalListView(APIView):
    """What waits for a person."""

    @extend_schema(
        operation_id="listApprovals",
        tags=["approval"],
        parameters=[OpenApiParameter("after", OpenApiTypes.INT, description="As the next link has it.")],
        responses={200: ApprovalList, **problems(400)},
    )
    def get(self, request: Request) -> Response:
        """The questions that can be decided now, oldest first."""
        rows = queries.approvals(whole_number(request, "after", 0, most=MOST_ID), PAGE + 1)
        links = [self.links.to("self", "v1", "approvals"), self.links.to("up", "v1")]
        if len(rows) > PAGE:
            links.append(self.links.to("next", "v1", "approvals", query=f"after={rows[PAGE - 1].pk}"))
        return Response({"approvals": [shown(one, self.links) for one in rows[:PAGE]], "links": links})


class ApprovalView(APIView):
    """One question."""

    @extend_schema(operation_id="getApproval", tags=["approval"], responses={200: ApprovalOutput, **problems(404)})
    def get(self, request: Request, action_id: str) -> Response:
        """The question of an action, decided or not."""
        return Response(shown(found(action_id), self.links))

    @extend_schema(
        operation_id="decide",
        tags=["approval"],
        request=DecisionInput,
        responses={200: ApprovalOutput, **problems(400, 404, 409)},
    )
    def post(self, request: Request, action_id: str) -> Response:
        """Approve or reject: the flow goes on with it. The first decision counts; the same again changes nothing."""
        asked = found(action_id)
        values = DecisionInput().valid(read_document(request))
        who = who_decides(request, values["by"])
        try:
            asked = approvals.decide(action_id, caller(request), values["approved"], values["comment"], who) or asked
        except approvals.NotOpenError as reason:
            raise Problem(409, str(reason)) from None
        return Response(shown(asked, self.links))


def found(action_id: str) -> Approval:
    """The question of an action. Raises `Problem` 404."""
    asked = approvals.find(action_id)
    if asked is None:
        raise not_found(f"approval {action_id!r}")
    return asked


def who_decides(request: Request, said: str) -> str:
    """Who stands by a decision: whom the token names; where nobody was asked for one, whoever it is said to be."""
    known = caller_of(request)
    return known.actor if known.kind != "anonymous" else f"anonymous ({said})" if said else "anonymous"


def shown(asked: Approval, links: Links) -> dict[str, Any]:
    """`ApprovalOutput` of a question: what is empty is left out."""
    told: dict[str, Any] = {"id": asked.action_id, "question": asked.question}
    if asked.details is not None:
        told["details"] = asked.details
    told |= {"flowName": asked.flow_name, "correlationId": asked.correlation_id}
    told |= {"askedAt": to_text(asked.asked_at), "endsAt": to_text(asked.ends_at)}
    if asked.decided_at:
        told |= {"approved": asked.approved, "by": asked.decided_by, "comment": asked.comment}
        told |= {"decidedAt": to_text(asked.decided_at)}
    own = links.to("self", "v1", "approvals", asked.action_id)
    execution = links.to("execution", "v1", "audit", "flows", asked.correlation_id)
    return told | {"links": [own, execution]}
