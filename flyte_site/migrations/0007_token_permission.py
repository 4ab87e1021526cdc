"""Add the permission to manage tokens, and grant it to the role `admin`."""

from django.contrib.auth.management import create_permissions
from django.db import migrations


def give(apps, schema_editor):
    # Django creates permissions only after all migrations.
    config = apps.get_app_config("flyte_site")
    config.models_module = True
    create_permissions(config, apps=apps, verbosity=0, using=schema_editor.connection.alias)
    config.models_module = None
    permissions = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="flyte_site")
    group = apps.get_model("auth", "Group").objects.filter(name="admin").first()
    if group is not None:
        group.permissions.add(*permissions.filter(codename="manage_token"))


class Migration(migrations.Migration):
    dependencies = [("flyte_site", "0006_identity")]
    operations = [
        migrations.AlterModelOptions(
            name="token",
            options={"default_permissions": [], "permissions": [("manage_token", "Can see, make and revoke tokens")]},
        ),
        migrations.RunPython(give, migrations.RunPython.noop),
    ]
