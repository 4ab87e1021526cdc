"""The console as Django's app for its admin."""

from django.contrib.admin.apps import SimpleAdminConfig


class ConsoleConfig(SimpleAdminConfig):
    """Django's admin, with the console as its site.

    The URLconf loads the pages, so that a command that serves nothing does not import them.
    """

    default_site = "flyte_site.console.site.ConsoleSite"
