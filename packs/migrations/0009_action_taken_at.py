from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('packs', '0008_clearer_names'),
    ]

    operations = [
        migrations.AddField(model_name='action', name='taken_at', field=models.DateTimeField(null=True)),
    ]
