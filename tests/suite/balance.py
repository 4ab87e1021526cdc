"""A check that every test marked `database` has run on both databases, unless it has a reason."""

from collections.abc import Collection

PLANS = "only PostgreSQL has generic plans, and plans by statistics that change"
ON_ONE_DATABASE = {
    "tests/audit/test_growth.py::test_a_page_reads_no_more_where_there_is_ten_times_as_much[generic": PLANS,
    "tests/audit/test_growth.py::test_of_as_many_labels_as_actions_a_bounded_number_is_looked_at[generic": PLANS,
    "tests/flows/test_execution_locks.py::test_a_locked_execution_stops_only_its_own_results": "SQLite locks no rows",
    "tests/jobs/test_expiry.py::test_an_execution_that_somebody_is_changing_stays": "SQLite locks no rows",
    "tests/jobs/test_two_servers.py": "SQLite's file belongs to one machine",
    "tests/packs/test_take_growth.py::test_a_take_reads_no_more_with_a_queue_ten_times_as_long": PLANS,
    "tests/packs/test_query_plans.py": PLANS,
    "tests/packs/test_take.py::test_concurrent_takers_never_claim_the_same_action": (
        "PostgreSQL passes over what another claims"
    ),
    "tests/site/test_safe_tracebacks.py::test_a_value_that_fits_no_column_is_not_quoted": "SQLite takes any value",
    "tests/site/test_postgresql.py": "it is about PostgreSQL's connections",
    "tests/site/test_sqlite.py": "PostgreSQL has locks of rows",
    "tests/site/test_sqlite_file.py": "PostgreSQL's files are its own",
}


def on_one_database(sqlite: Collection[str], postgresql: Collection[str]) -> list[str]:
    """Return the node ids that only one of two runs has, without those that have a reason above."""
    return sorted(test for test in set(sqlite) ^ set(postgresql) if not test.startswith(tuple(ON_ONE_DATABASE)))


def unused_reasons(sqlite: Collection[str], postgresql: Collection[str]) -> list[str]:
    """Return the reasons above that no test of two complete runs needs."""
    lone = set(sqlite) ^ set(postgresql)
    return [start for start in ON_ONE_DATABASE if not any(test.startswith(start) for test in lone)]
