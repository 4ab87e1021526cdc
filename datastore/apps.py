"""The app's place in Django."""

from django.apps import AppConfig


class DatastoreConfig(AppConfig):
    """The `datastore` app."""

    name = "datastore"
