import hashlib

from django.db import migrations


def hash_session_keys(apps, schema_editor):
    """Store each session under the hash of its key, so that people stay signed in."""
    Session = apps.get_model("sessions", "Session")
    for key in list(Session.objects.values_list("session_key", flat=True)):
        if len(key) < 40:
            hashed_key = hashlib.blake2b(key.encode(), digest_size=20).hexdigest()
            Session.objects.filter(session_key=key).update(session_key=hashed_key)


class Migration(migrations.Migration):

    dependencies = [
        ("flyte_site", "0011_write_probe"),
        ("sessions", "0001_initial"),
    ]

    operations = [migrations.RunPython(hash_session_keys, migrations.RunPython.noop)]
