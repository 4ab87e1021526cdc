"""The Django app configuration; checks the settings of hosted packs at startup."""

from django.apps import AppConfig
from django.utils.module_loading import import_string


class PacksConfig(AppConfig):
    """The `packs` app."""

    name = "packs"

    def ready(self) -> None:
        # Imported by name: hosted packs need models, which are loaded only now.
        import_string("packs.hosted_registry.check_settings")()
