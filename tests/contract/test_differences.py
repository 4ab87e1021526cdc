"""Completeness of the table of differences, and the need for each of its rows."""

import pytest

from tests.contract.differences import DATABASE_AWAY, DIFFERENCES, UNDER_POLICY, Difference, expectations
from tests.contract.recording import Exchange, ExchangeResponse, read_exchanges

pytestmark = pytest.mark.unit

EXPECTATIONS = [
    *expectations(exchange for exchange in read_exchanges() if exchange.phase != UNDER_POLICY),
    *expectations(exchange for exchange in read_exchanges() if exchange.phase == UNDER_POLICY),
]


def test_every_recorded_exchange_has_an_expectation() -> None:
    assert len(EXPECTATIONS) == len(read_exchanges()) == 488


def test_names_of_exchanges_are_unique() -> None:
    names = [exchange.name for exchange in read_exchanges()]
    assert len(set(names)) == len(names)


def test_the_exchanges_without_database_are_last() -> None:
    phases = [expectation.exchange.phase for expectation in EXPECTATIONS if expectation.exchange.phase != UNDER_POLICY]
    assert phases.count(DATABASE_AWAY) == 3
    assert set(phases[-3:]) == {DATABASE_AWAY}


@pytest.mark.parametrize("row", DIFFERENCES, ids=lambda row: f"{DIFFERENCES.index(row)}: {row.reason[:60]}")
def test_every_row_changes_the_exchanges_that_it_names(row: Difference) -> None:
    changed = {expectation.exchange.name for expectation in EXPECTATIONS if row in expectation.rows}
    assert set(row.exchanges) <= changed
    assert changed
    assert row.reason


def test_every_dropped_connection_has_a_row() -> None:
    assert not [expectation.exchange.name for expectation in EXPECTATIONS if expectation.answer.status == 0]


def test_an_unchanged_exchange_has_no_rows() -> None:
    exchange = Exchange("index", "info", "GET", "/", {}, None, {}, ExchangeResponse(200))
    assert expectations([exchange])[0].rows == ()
