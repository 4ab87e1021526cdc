"""Name the permission to manage tokens as the console does."""

from django.db import migrations

NAME = "Can view, create and revoke tokens"


def rename(apps, schema_editor):
    # Django creates permissions, but does not rename them.
    permissions = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="flyte_site")
    permissions.filter(codename="manage_token").update(name=NAME)


class Migration(migrations.Migration):
    dependencies = [
        ("flyte_site", "0009_one_time_password_made_at"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]
    operations = [
        migrations.AlterModelOptions(
            name="token",
            options={"default_permissions": [], "permissions": [("manage_token", NAME)]},
        ),
        migrations.RunPython(rename, migrations.RunPython.noop),
    ]
