from datetime import datetime

from django.db import migrations

BATCH_SIZE = 500


def fill_taken_at(apps, schema_editor):
    """Copy the time of the take from the state log of claimed actions; no other action needs it."""
    actions = apps.get_model('packs', 'Action').objects.using(schema_editor.connection.alias)
    claimed = actions.filter(lease_ends_at__isnull=False, taken_at=None).only('state_log')
    while batch := list(claimed[:BATCH_SIZE]):
        for action in batch:
            action.taken_at = datetime.fromisoformat(action.state_log[-1]['time'])
        actions.bulk_update(batch, ['taken_at'])


class Migration(migrations.Migration):

    dependencies = [
        ('packs', '0009_action_taken_at'),
    ]

    operations = [
        migrations.RunPython(fill_taken_at, migrations.RunPython.noop),
    ]
