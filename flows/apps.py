"""The app's place in Django."""

from django.apps import AppConfig


class FlowsConfig(AppConfig):
    """The `flows` app."""

    name = "flows"
