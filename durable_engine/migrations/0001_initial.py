import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.functions.datetime
import uuid_utils.compat
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Worker',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('hostname', models.CharField(max_length=256)),
                ('pid', models.IntegerField()),
                ('release', models.CharField(blank=True, default='', max_length=64)),
                ('functions', models.JSONField(default=list)),
                ('queues', models.JSONField(default=list)),
                ('draining', models.BooleanField(default=False)),
                ('started_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('last_seen', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('lost_at', models.DateTimeField(null=True)),
                ('exit_reason', models.CharField(blank=True, default='', max_length=256)),
            ],
            options={
                'db_table': 'durable_worker',
            },
        ),
        migrations.CreateModel(
            name='Execution',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('function', models.CharField(max_length=140)),
                ('version', models.PositiveIntegerField(default=1)),
                ('name', models.CharField(max_length=64)),
                ('payload_hash', models.CharField(max_length=64)),
                ('status', models.CharField(choices=[('PENDING', 'Pending'), ('RUNNING', 'Running'), ('SUSPENDED', 'Suspended'), ('PAUSED', 'Paused'), ('SUCCEEDED', 'Succeeded'), ('FAILED', 'Failed'), ('TIMED_OUT', 'Timed out'), ('STOPPED', 'Stopped')], default='PENDING', max_length=10)),
                ('queue', models.CharField(default='durable', max_length=64)),
                ('priority', models.SmallIntegerField(default=0)),
                ('tags', models.JSONField(default=dict)),
                ('status_text', models.CharField(blank=True, default='', max_length=256)),
                ('fence', models.BigIntegerField(default=0)),
                ('batch', models.BigIntegerField(default=0)),
                ('last_event_id', models.BigIntegerField(default=0)),
                ('signal', models.BigIntegerField(default=0)),
                ('worker_id', models.UUIDField(null=True)),
                ('invocation_id', models.UUIDField(null=True)),
                ('invocation_started_at', models.DateTimeField(null=True)),
                ('invocation_deadline', models.DateTimeField(null=True)),
                ('crash_count', models.PositiveSmallIntegerField(default=0)),
                ('batch_started_at', models.DateTimeField(null=True)),
                ('last_event_at', models.DateTimeField(null=True)),
                ('ready_at', models.DateTimeField(null=True)),
                ('dispatched_at', models.DateTimeField(null=True)),
                ('wake_at', models.DateTimeField(null=True)),
                ('expires_at', models.DateTimeField(null=True)),
                ('paused_at', models.DateTimeField(null=True)),
                ('pause_kind', models.CharField(blank=True, default='', max_length=32)),
                ('pause_reason', models.TextField(blank=True, default='')),
                ('superseded_by', models.UUIDField(null=True)),
                ('closed_at', models.DateTimeField(null=True)),
                ('error_type', models.CharField(blank=True, default='', max_length=256)),
                ('error_message', models.CharField(blank=True, default='', max_length=512)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'db_table': 'durable_execution',
                'ordering': ['-created_at', '-id'],
                'permissions': [('view_payload', 'Can see inputs, results and errors of executions'), ('start_execution', 'Can start executions'), ('stop_execution', 'Can stop executions'), ('operate_execution', 'Can pause, resume and retry executions')],
                'indexes': [models.Index(condition=models.Q(('status', 'PENDING')), fields=['queue', '-priority', 'ready_at'], name='durable_execution_ready'), models.Index(condition=models.Q(('status', 'SUSPENDED'), ('wake_at__isnull', False)), fields=['wake_at'], name='durable_execution_wake'), models.Index(models.F('ready_at'), condition=models.Q(('dispatched_at', None), ('status', 'PENDING')), name='durable_execution_undispatched'), models.Index(condition=models.Q(('status', 'RUNNING')), fields=['worker_id'], name='durable_execution_running'), models.Index(condition=models.Q(('closed_at', None), ('expires_at__isnull', False)), fields=['expires_at'], name='durable_execution_expires'), models.Index(fields=['-created_at', '-id'], name='durable_execution_newest'), models.Index(fields=['status', '-created_at', '-id'], name='durable_execution_status'), models.Index(fields=['function', '-created_at', '-id'], name='durable_execution_function'), models.Index(fields=['name'], name='durable_execution_name_prefix', opclasses=['varchar_pattern_ops']), django.contrib.postgres.indexes.GinIndex(fields=['tags'], name='durable_execution_tags', opclasses=['jsonb_path_ops'])],
                'constraints': [models.UniqueConstraint(condition=models.Q(('superseded_by', None)), fields=('function', 'name'), name='durable_execution_name'), models.CheckConstraint(condition=models.Q(models.Q(('closed_at', None), ('status__in', ['PENDING', 'RUNNING', 'SUSPENDED', 'PAUSED'])), models.Q(('closed_at__isnull', False), ('status__in', ['SUCCEEDED', 'FAILED', 'TIMED_OUT', 'STOPPED'])), _connector='OR'), name='durable_execution_closed_at')],
            },
        ),
        migrations.CreateModel(
            name='Event',
            fields=[
                ('pk', models.CompositePrimaryKey('execution', 'event_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('event_id', models.BigIntegerField()),
                ('event_type', models.CharField(max_length=32)),
                ('operation_id', models.CharField(max_length=64, null=True)),
                ('parent_id', models.CharField(max_length=64, null=True)),
                ('subtype', models.CharField(max_length=32, null=True)),
                ('name', models.CharField(max_length=256, null=True)),
                ('attempt', models.IntegerField(null=True)),
                ('payload', models.TextField(null=True)),
                ('error', models.TextField(null=True)),
                ('details', models.JSONField(null=True)),
                ('fence', models.BigIntegerField(null=True)),
                ('event_at', models.DateTimeField()),
                ('execution', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='events', to='durable_engine.execution')),
            ],
            options={
                'db_table': 'durable_event',
                'ordering': ['execution_id', 'event_id'],
            },
        ),
        migrations.CreateModel(
            name='Function',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=140)),
                ('version', models.PositiveIntegerField(default=1)),
                ('description', models.TextField(blank=True, default='')),
                ('config', models.JSONField(default=dict)),
                ('fingerprint', models.CharField(blank=True, default='', max_length=64)),
                ('seen_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'db_table': 'durable_function',
                'ordering': ['name', '-version'],
                'constraints': [models.UniqueConstraint(fields=('name', 'version'), name='durable_function_name_version')],
            },
        ),
        migrations.CreateModel(
            name='Timer',
            fields=[
                ('pk', models.CompositePrimaryKey('execution', 'operation_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('operation_id', models.CharField(max_length=64)),
                ('kind', models.CharField(choices=[('wait', 'Wait'), ('retry', 'Retry'), ('condition', 'Condition')], max_length=10)),
                ('event_id', models.BigIntegerField()),
                ('due_at', models.DateTimeField()),
                ('execution', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='timers', to='durable_engine.execution')),
            ],
            options={
                'db_table': 'durable_timer',
            },
        ),
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('actor', models.CharField(max_length=256)),
                ('channel', models.CharField(max_length=32)),
                ('action', models.CharField(max_length=64)),
                ('execution_id', models.UUIDField(null=True)),
                ('operation_id', models.CharField(max_length=64, null=True)),
                ('reason', models.TextField(blank=True, default='')),
                ('details', models.JSONField(default=dict)),
                ('user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'db_table': 'durable_audit_entry',
                'ordering': ['-at', '-id'],
                'indexes': [models.Index(fields=['execution_id', '-at'], name='durable_audit_execution'), models.Index(fields=['-at', '-id'], name='durable_audit_newest')],
            },
        ),
        migrations.CreateModel(
            name='Callback',
            fields=[
                ('id', models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ('operation_id', models.CharField(max_length=64)),
                ('parent_id', models.CharField(max_length=64, null=True)),
                ('name', models.CharField(max_length=256, null=True)),
                ('status', models.CharField(choices=[('STARTED', 'Waiting'), ('SUCCEEDED', 'Succeeded'), ('FAILED', 'Failed'), ('TIMED_OUT', 'Timed out'), ('CANCELLED', 'Cancelled')], default='STARTED', max_length=10)),
                ('timeout_seconds', models.FloatField(null=True)),
                ('heartbeat_timeout_seconds', models.FloatField(null=True)),
                ('deadline', models.DateTimeField(null=True)),
                ('heartbeat_deadline', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('completed_at', models.DateTimeField(null=True)),
                ('completed_by', models.CharField(blank=True, default='', max_length=256)),
                ('execution', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='callbacks', to='durable_engine.execution')),
            ],
            options={
                'db_table': 'durable_callback',
                'permissions': [('decide_callback', 'Can approve, reject and complete callbacks')],
                'indexes': [models.Index(condition=models.Q(('status', 'STARTED')), fields=['deadline'], name='durable_callback_deadline'), models.Index(condition=models.Q(('status', 'STARTED')), fields=['heartbeat_deadline'], name='durable_callback_heartbeat'), models.Index(condition=models.Q(('status', 'STARTED')), fields=['created_at', 'id'], name='durable_callback_open')],
                'constraints': [models.UniqueConstraint(fields=('execution', 'operation_id'), name='durable_callback_operation')],
            },
        ),
        # Rows that change all the time: room on the page for heap-only updates, and a vacuum that comes by count, not
        # by share of the table, and is not slowed down.
        *[
            migrations.RunSQL(
                f"ALTER TABLE {table} SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0, "
                "autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0)",
                f"ALTER TABLE {table} RESET (fillfactor, autovacuum_vacuum_scale_factor, "
                "autovacuum_vacuum_threshold, autovacuum_vacuum_cost_delay)",
            )
            for table in ("durable_execution", "durable_worker", "durable_timer")
        ],
    ]
