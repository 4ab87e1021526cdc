"""Let the role `admin` manage roles."""

from django.db import migrations


def give(apps, schema_editor):
    permissions = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="auth")
    group = apps.get_model("auth", "Group").objects.filter(name="admin").first()
    if group is not None:
        group.permissions.add(*permissions.filter(codename__in=["add_group", "change_group", "delete_group"]))


class Migration(migrations.Migration):
    dependencies = [("flyte_site", "0003_roles")]
    operations = [migrations.RunPython(give, migrations.RunPython.noop)]
