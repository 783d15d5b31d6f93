from importlib import import_module

from django.db import migrations, models


def give_new_rights(apps, schema_editor):
    """Let the groups of an installation that exists have the right to delete, too."""
    import_module("durable_engine.migrations.0002_groups").create_groups(apps, schema_editor)


class Migration(migrations.Migration):
    dependencies = [
        ("durable_engine", "0007_api_key"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="execution",
            index=models.Index(
                condition=models.Q(("closed_at__isnull", False)),
                fields=["function", "closed_at"],
                name="durable_execution_ended",
            ),
        ),
        migrations.RunPython(give_new_rights, migrations.RunPython.noop),
    ]
