"""App configuration of the console."""

from django.contrib.admin.apps import SimpleAdminConfig


class ConsoleConfig(SimpleAdminConfig):
    """Django's admin app with the console as its site.

    The URLconf loads the pages, so that commands that don't serve requests do not import them.
    """

    default_site = "flyte_site.console.site.ConsoleSite"
