"""Let the roles view approvals, and the roles operator and admin decide them."""

from django.contrib.auth.management import create_permissions
from django.db import migrations

SEE = ("viewer", "editor", "operator", "admin")
DECIDE = ("operator", "admin")


def give(apps, schema_editor):
    # Django creates permissions only after all migrations.
    config = apps.get_app_config("packs")
    config.models_module = True
    create_permissions(config, apps=apps, verbosity=0, using=schema_editor.connection.alias)
    config.models_module = None
    permissions = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="packs")
    for codename, roles in (("view_approval", SEE), ("decide_approval", DECIDE)):
        for group in apps.get_model("auth", "Group").objects.filter(name__in=roles):
            group.permissions.add(*permissions.filter(codename=codename))


class Migration(migrations.Migration):
    dependencies = [("flyte_site", "0007_token_permission"), ("packs", "0004_hosted_packs")]
    operations = [migrations.RunPython(give, migrations.RunPython.noop)]
