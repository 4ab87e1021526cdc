"""Warnings of the audit's API about filters without effect."""

import pytest
from django.test import Client

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.mark.parametrize(
    ("path", "warning"),
    [
        ("flows?flowname=x", "flowname: unknown filter, which is ignored; did you mean flowName?"),
        (
            "events?zone=x",
            "zone: unknown filter, which is ignored; filters: packName, event, flow, start, limit, olderThan",
        ),
        ("events?correlationId=x", "correlationId: unknown filter, which is ignored; filters: packName, event"),
        ("flows?flowName=a&flowName=b", "flowName: is repeated; only the last value counts, 'b'"),
        ("flows?actionPackLabels=env", "actionPackLabels: 'env' is ignored; use name:value, such as env:prod,az:b"),
        ("flows?actionPackLabels=a:b,env=x", "actionPackLabels: 'env=x' is ignored; use name:value"),
        ("flows?actionPackLabels=,,", "actionPackLabels: '' is ignored; use name:value"),
        ("flows?actionPackLabels=:b", "actionPackLabels: ':b' has no name; use name:value"),
        ("flows?actionPackLabels=a:b,a:c", "actionPackLabels: label 'a' is repeated; only its last value counts"),
        ("flows?%C3%A9=%0A", "\\u00e9: unknown filter, which is ignored; filters: flowName"),
    ],
)
def test_a_filter_without_effect_is_a_warning(client: Client, path: str, warning: str) -> None:
    response = client.get(f"/v1/audit/{path}")
    assert response.status_code == 200
    assert response.headers["X-Flyte-Warning"].startswith(warning)


@pytest.mark.parametrize(
    "path", ["flows", "events", "flows?actionPackLabels=a:b,c:&flowName=x&limit=1", "events?event=a&start=0&flow=b"]
)
def test_filters_with_effect_are_no_warning(client: Client, path: str) -> None:
    assert "X-Flyte-Warning" not in client.get(f"/v1/audit/{path}").headers
