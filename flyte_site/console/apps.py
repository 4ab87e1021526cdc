"""The console as Django's app for its admin."""

from django.contrib.admin.apps import AdminConfig


class ConsoleConfig(AdminConfig):
    """Django's admin, with the console as its site."""

    default_site = "flyte_site.console.site.ConsoleSite"
