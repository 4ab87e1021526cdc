"""The app's place in Django."""

from django.apps import AppConfig


class PacksConfig(AppConfig):
    """The `packs` app."""

    name = "packs"
