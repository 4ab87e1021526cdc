from django.db import migrations, models

DUE_INDEX = models.Index(fields=['plugin', 'state', 'next_call_at'], name='hosted_due')


class Migration(migrations.Migration):
    """Rename fields of hosted resources; no row is written."""

    dependencies = [
        ('packs', '0010_fill_taken_at'),
    ]

    operations = [
        # Both databases rename the columns in indexes themselves; Django's state does not.
        migrations.SeparateDatabaseAndState(state_operations=[migrations.RemoveIndex('hostedresource', 'hosted_due')]),
        migrations.RenameField('hostedresource', 'asked', 'create_called'),
        migrations.RenameField('hostedresource', 'sealed', 'encrypted_meta'),
        migrations.RenameField('hostedresource', 'next_at', 'next_call_at'),
        migrations.RenameField('hostedresource', 'busy_until', 'claimed_until'),
        migrations.RenameField('hostedresource', 'claim', 'claim_number'),
        migrations.SeparateDatabaseAndState(state_operations=[migrations.AddIndex('hostedresource', DUE_INDEX)]),
    ]
