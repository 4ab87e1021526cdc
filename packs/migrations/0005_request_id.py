from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("packs", "0004_hosted_packs")]

    operations = [
        migrations.AddField("action", "request_id", models.CharField(blank=True, default="", max_length=64)),
        migrations.AddField("action", "traceparent", models.CharField(blank=True, default="", max_length=55)),
    ]
