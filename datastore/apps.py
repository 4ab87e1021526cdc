"""The Django app configuration."""

from django.apps import AppConfig


class DatastoreConfig(AppConfig):
    """The `datastore` app."""

    name = "datastore"
