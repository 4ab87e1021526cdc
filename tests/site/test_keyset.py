"""Keyset pages: forward and backward, in both directions of the key, with the keys of the adjacent pages."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flyte_site.db.keyset import fetch_page
from packs.models import Pack
from tests.reading import statements
from tests.site.shape import register_pack

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

CASES = {
    "first page": ({}, ("AB", None, "B")),
    "middle page": ({"after": "B"}, ("CD", "C", "D")),
    "last page": ({"after": "D"}, ("E", "E", None)),
    "after the last row": ({"after": "E"}, ("", None, None)),
    "page before": ({"before": "E"}, ("CD", "C", "D")),
    "first page from behind": ({"before": "C"}, ("AB", None, "B")),
    "before the first row": ({"before": "A"}, ("", None, None)),
    "descending": ({"descending": True}, ("ED", None, "D")),
    "descending, after": ({"after": "D", "descending": True}, ("CB", "C", "B")),
    "descending, before": ({"before": "B", "descending": True}, ("DC", "D", "C")),
    "descending, last": ({"after": "B", "descending": True}, ("A", "A", None)),
}


@pytest.mark.parametrize("case", CASES)
def test_a_page_has_its_rows_and_the_keys_of_the_adjacent_pages(case: str) -> None:
    options, expected = CASES[case]
    for name in "ABCDE":
        register_pack(name)
    with CaptureQueriesContext(connection) as queries:
        page = fetch_page(Pack.objects.all(), "identity", 2, **options)  # type: ignore[arg-type]
    assert ("".join(pack.name for pack in page.rows), page.previous_key, page.next_key) == expected
    assert len(statements(queries)) == 1
