"""The roles viewer, editor, operator and admin."""

from django.contrib.auth.management import create_permissions
from django.db import migrations

VIEWER = [
    "flows.view_flow",
    "flows.view_flowversion",
    "flows.view_execution",
    "flows.view_event",
    "packs.view_pack",
    "packs.view_action",
    "datastore.view_item",
    "flyte_site.view_change",
]
EDITOR = [
    *VIEWER,
    "flows.add_flow",
    "flows.change_flow",
    "flows.delete_flow",
    "datastore.add_item",
    "datastore.change_item",
    "datastore.delete_item",
]
OPERATOR = [*VIEWER, "flows.control_execution", "flows.enable_flow", "packs.delete_pack"]
ADMIN = [
    *dict.fromkeys([*EDITOR, *OPERATOR]),
    *(f"auth.{verb}_user" for verb in ("view", "add", "change", "delete")),
    "auth.view_group",
]
ROLES = {"viewer": VIEWER, "editor": EDITOR, "operator": OPERATOR, "admin": ADMIN}


def make_roles(apps, schema_editor):
    # Django creates permissions only after all migrations.
    for name in ("flows", "packs", "datastore", "flyte_site", "auth"):
        config = apps.get_app_config(name)
        config.models_module = True
        create_permissions(config, apps=apps, verbosity=0, using=schema_editor.connection.alias)
        config.models_module = None
    permissions = apps.get_model("auth", "Permission").objects.select_related("content_type")
    by_name = {f"{one.content_type.app_label}.{one.codename}": one for one in permissions}
    for role, names in ROLES.items():
        group, _ = apps.get_model("auth", "Group").objects.get_or_create(name=role)
        group.permissions.add(*(by_name[name] for name in names))


class Migration(migrations.Migration):
    dependencies = [
        ("flyte_site", "0002_changes_and_passwords"),
        ("flows", "0003_permissions"),
        ("packs", "0002_leases"),
        ("datastore", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(make_roles, migrations.RunPython.noop)]
