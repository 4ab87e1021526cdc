"""Ids, labels and status of packs."""

from datetime import timedelta

import pytest
from django.utils import timezone

from packs.models import Action, Pack, build_labels_key, build_pack_id

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("Slack", {}, "Slack"),
        ("Slack", {"env": "prod"}, "Slack.env.prod"),
        ("Slack", {"env": "prod", "az": "b"}, "Slack.az.b.env.prod"),
        ("Slack", {"b": "1", "B": "2", "a": "3"}, "Slack.B.2.a.3.b.1"),
        ("A b", {"é": "", "": "x"}, "A b..x.é."),
    ],
)
def test_a_pack_id_is_the_name_and_the_labels_sorted_by_key(name: str, labels: dict[str, str], expected: str) -> None:
    assert build_pack_id(name, labels) == expected


def test_only_equal_labels_have_equal_keys() -> None:
    assert build_labels_key({"b": "1", "a": "2"}) == build_labels_key({"a": "2", "b": "1"})
    different = [{}, {"a": "b"}, {"a": "b", "c": ""}, {"a": "b,c"}, {"a": 'b","c":"'}, {"a.b": ""}, {"a": ".b"}]
    assert len({build_labels_key(labels) for labels in different}) == len(different)


@pytest.mark.parametrize(
    ("silent", "status"),
    [
        (timedelta(0), "live"),
        (timedelta(minutes=9, seconds=59), "live"),
        (timedelta(minutes=10, seconds=1), "warning"),
        (timedelta(hours=23, minutes=59), "warning"),
        (timedelta(hours=24, seconds=1), "critical"),
        (timedelta(days=400), "critical"),
        (timedelta(seconds=-30), "live"),
    ],
)
def test_the_status_of_a_pack_depends_on_its_last_seen_time(silent: timedelta, status: str) -> None:
    assert Pack(last_seen=timezone.now() - silent).status == status


@pytest.mark.parametrize(
    ("name", "labels", "can"),
    [
        ("Wrk", {}, True),
        ("Wrk", {"env": "prod"}, True),
        ("Wrk", {"env": "prod", "az": "b"}, True),
        ("Wrk", {"env": "dev"}, False),
        ("Wrk", {"az": "c", "env": "prod"}, False),
        ("Wrk", {"other": "prod"}, False),
        ("wrk", {}, False),
        ("Wrk2", {}, False),
    ],
)
def test_a_pack_can_take_actions_for_its_name_whose_labels_it_has(name: str, labels: dict[str, str], can: bool) -> None:
    pack = Pack(name="Wrk", labels={"env": "prod", "az": "b"})
    assert pack.can_take(Action(pack_name=name, pack_labels=labels)) is can
