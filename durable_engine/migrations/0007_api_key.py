from importlib import import_module

import django.db.models.functions.datetime
import uuid_utils.compat
from django.db import migrations, models


def give_administrators_the_right(apps, schema_editor):
    """The group was made before there were keys, in databases that are older than this migration."""
    import_module("durable_engine.migrations.0002_groups").create_groups(apps, schema_editor)


class Migration(migrations.Migration):

    dependencies = [
        ('durable_engine', '0006_outbox'),
    ]

    operations = [
        migrations.CreateModel(
            name='ApiKey',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('access_key_id', models.CharField(max_length=32, unique=True)),
                ('name', models.CharField(max_length=64)),
                ('secret', models.BinaryField()),
                ('previous_secret', models.BinaryField(null=True)),
                ('previous_expires_at', models.DateTimeField(null=True)),
                ('scopes', models.JSONField(default=list)),
                ('functions', models.JSONField(default=list)),
                ('requests_per_second', models.PositiveIntegerField(null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('created_by', models.CharField(blank=True, default='', max_length=256)),
                ('rotated_at', models.DateTimeField(null=True)),
                ('expires_at', models.DateTimeField(null=True)),
                ('revoked_at', models.DateTimeField(null=True)),
                ('last_used_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'durable_api_key',
                'ordering': ['-created_at', '-id'],
                'permissions': [('manage_apikey', 'Can make, change, rotate and revoke API keys')],
            },
        ),
        migrations.RunPython(give_administrators_the_right, migrations.RunPython.noop),
    ]
