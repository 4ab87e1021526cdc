"""The app's place in Django; notes at the start what is wrong with the settings of hosted packs."""

from django.apps import AppConfig
from django.utils.module_loading import import_string


class PacksConfig(AppConfig):
    """The `packs` app."""

    name = "packs"

    def ready(self) -> None:
        # By its name: what hosts packs needs models, and they are there only now.
        import_string("packs.hosted_registry.check_settings")()
