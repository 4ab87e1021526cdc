from django.db import migrations, models
from django.db.models import Q

QUEUED_INDEX = models.Index(
    fields=['pack_name', 'labels_key', 'ready_at', 'id'], condition=Q(is_queued=True), name='waiting_actions'
)
LABELS_INDEX = models.Index(fields=['labels_key', 'id'], condition=~Q(labels_key='{}'), name='actions_by_labels')
QUEUED_CONSTRAINT = models.CheckConstraint(
    condition=Q(is_queued=True, state='NEW') | (Q(is_queued=False) & ~Q(state='NEW')), name='waiting_means_new'
)


class Migration(migrations.Migration):
    """Rename fields of actions; no row is written."""

    dependencies = [
        ('packs', '0007_actions_by_labels'),
    ]

    operations = [
        # Both databases rename the columns in indexes and constraints themselves; Django's state does not.
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveIndex('action', 'waiting_actions'),
                migrations.RemoveIndex('action', 'actions_by_labels'),
                migrations.RemoveConstraint('action', 'waiting_means_new'),
            ]
        ),
        migrations.RenameField('action', 'holder', 'claimed_by'),
        migrations.RenameField('action', 'waiting', 'is_queued'),
        migrations.RenameField('action', 'states', 'state_log'),
        migrations.RenameField('action', 'history', 'attempt_log'),
        migrations.RenameField('action', 'label_key', 'labels_key'),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AddIndex('action', QUEUED_INDEX),
                migrations.AddIndex('action', LABELS_INDEX),
                migrations.AddConstraint('action', QUEUED_CONSTRAINT),
            ]
        ),
        migrations.RenameIndex('action', new_name='queued_actions', old_name='waiting_actions'),
    ]
