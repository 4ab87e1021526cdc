"""Creation of the first account by several servers that start at the same time."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.contrib.auth.models import User
from django.db import connection

from flyte_site.console.accounts import FIRST_ADMIN_USERNAME, create_first_admin
from flyte_site.models import OneTimePassword

pytestmark = [pytest.mark.database, pytest.mark.django_db(transaction=True)]

SERVERS = 4


def test_concurrent_starts_create_one_account_and_print_its_password_once() -> None:
    barrier = Barrier(SERVERS)

    def start(_: int) -> str | None:
        try:
            barrier.wait(60)
            return create_first_admin()
        finally:
            connection.close()

    with ThreadPoolExecutor(SERVERS) as threads:
        passwords = [password for password in threads.map(start, range(SERVERS)) if password]
    person = User.objects.get()
    assert (person.get_username(), len(passwords)) == (FIRST_ADMIN_USERNAME, 1)
    assert person.check_password(passwords[0])
    assert OneTimePassword.objects.filter(user=person).count() == 1
