"""What people read and fill in keeps the order in which its author wrote it; `jsonb` sorts keys."""

from django.db import migrations

import approvals.models.ordered_json


class Migration(migrations.Migration):
    dependencies = [("approvals", "0003_checked_at")]

    operations = [
        migrations.AlterField(
            model_name="approvalrequest",
            name="details",
            field=approvals.models.ordered_json.OrderedJSONField(default=dict),
        ),
        migrations.AlterField(
            model_name="approvalrequest",
            name="form",
            field=approvals.models.ordered_json.OrderedJSONField(null=True),
        ),
    ]
