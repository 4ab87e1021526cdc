import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """The model has a new name; its table and columns stay."""

    dependencies = [
        ('flows', '0007_audit_indexes'),
    ]

    operations = [
        migrations.AlterModelTable(name='listener', table='flows_listener'),
        migrations.RenameModel(old_name='Listener', new_name='EventSubscription'),
        migrations.AlterField(
            model_name='eventsubscription',
            name='flow',
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name='subscriptions', to='flows.flow'
            ),
        ),
    ]
