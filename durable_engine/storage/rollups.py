"""Add up executions by minute, by hour, and for ever. The only writer of rollups."""

from __future__ import annotations

from typing import Final

from durable_engine.storage import feeds
from durable_engine.storage.connection import EngineConnection

MINUTE: Final = 60
HOUR: Final = 3600
# The width of the one row of a version that is never deleted: what only ever grows, for counters.
EVER: Final = 0
# A bin of durations is this much longer than the one before it.
BIN_FACTOR: Final = 1.1
KEEP_MINUTES: Final = "3 days"
KEEP_HOURS: Final = "400 days"

STARTS: Final = "starts"
ENDS: Final = "ends"

# All widths are written from the same batch. `spread` has each row once for each.
_SPREAD = """
WITH batch AS MATERIALIZED (
  SELECT id, {at} AS at, function, version, status, created_at FROM durable_execution
  WHERE {at} IS NOT NULL AND ({at}, id) > (%(at)s, %(id)s) AND {at} <= %(horizon)s
  ORDER BY {at}, id LIMIT %(limit)s
), spread AS (
  SELECT width, to_timestamp(coalesce(floor(extract(epoch FROM at) / nullif(width, 0)) * width, 0)) AS starts_at,
         function, version, status, greatest(extract(epoch FROM at - created_at)::float8, 0) AS seconds
  FROM batch, (VALUES (0), (60), (3600)) AS w(width)
)"""
_MOVE = """
UPDATE durable_feed SET reached_at = last.at, reached_id = last.id
FROM (SELECT at, id FROM batch ORDER BY at DESC, id DESC LIMIT 1) AS last WHERE name = %(name)s
RETURNING (SELECT count(*) FROM batch)
"""
_ADD_STARTS = f"""{_SPREAD.format(at="created_at")}, added AS (
  INSERT INTO durable_rollup (width_seconds, starts_at, function, version, started, succeeded, failed, timed_out,
                              stopped, seconds_sum, durations)
  SELECT width, starts_at, function, version, count(*), 0, 0, 0, 0, 0, '{{}}' FROM spread
  GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
  ON CONFLICT (width_seconds, starts_at, function, version)
  DO UPDATE SET started = durable_rollup.started + excluded.started
){_MOVE}"""
_ADD_ENDS = f"""{_SPREAD.format(at="closed_at")}, bins AS (
  SELECT width, starts_at, function, version, jsonb_object_agg(bin, n) AS durations FROM (
    SELECT width, starts_at, function, version, floor(ln(greatest(seconds * 1000, 1)) / ln({BIN_FACTOR})) AS bin,
           count(*) AS n
    FROM spread GROUP BY 1, 2, 3, 4, 5) b
  GROUP BY 1, 2, 3, 4
), sums AS (
  SELECT width, starts_at, function, version, count(*) FILTER (WHERE status = 'SUCCEEDED') AS succeeded,
         count(*) FILTER (WHERE status = 'FAILED') AS failed,
         count(*) FILTER (WHERE status = 'TIMED_OUT') AS timed_out,
         count(*) FILTER (WHERE status = 'STOPPED') AS stopped, sum(seconds) AS seconds
  FROM spread GROUP BY 1, 2, 3, 4
), added AS (
  INSERT INTO durable_rollup AS r (width_seconds, starts_at, function, version, started, succeeded, failed, timed_out,
                                   stopped, seconds_sum, durations)
  SELECT width, starts_at, function, version, 0, succeeded, failed, timed_out, stopped, seconds, durations
  FROM sums JOIN bins USING (width, starts_at, function, version) ORDER BY 1, 2, 3, 4
  ON CONFLICT (width_seconds, starts_at, function, version) DO UPDATE
  SET succeeded = r.succeeded + excluded.succeeded, failed = r.failed + excluded.failed,
      timed_out = r.timed_out + excluded.timed_out, stopped = r.stopped + excluded.stopped,
      seconds_sum = r.seconds_sum + excluded.seconds_sum,
      durations = (SELECT jsonb_object_agg(bin, n) FROM (
        SELECT key AS bin, sum(value::bigint) AS n FROM (
          SELECT key, value FROM jsonb_each_text(r.durations)
          UNION ALL SELECT key, value FROM jsonb_each_text(excluded.durations)) either
        GROUP BY key) both_bins)
){_MOVE}"""


def roll_up(connection: EngineConnection, name: str, limit: int) -> int:
    """Add up to `limit` more starts or ends; return how many there were. None is counted twice, or left out."""
    with connection.transaction():
        position = feeds.take_feed(connection, name)
        if position is None:
            return 0
        params = {
            "name": name,
            "at": position.at,
            "id": position.id,
            "horizon": feeds.horizon(connection),
            "limit": limit,
        }
        row = connection.execute(_ADD_STARTS if name == STARTS else _ADD_ENDS, params).fetchone()
        return 0 if row is None else int(row[0])


def forget_old(connection: EngineConnection) -> None:
    """Delete minutes and hours that no chart reaches back to."""
    connection.execute(
        "DELETE FROM durable_rollup WHERE width_seconds = %s AND starts_at < clock_timestamp() - %s::interval"
        " OR width_seconds = %s AND starts_at < clock_timestamp() - %s::interval",
        (MINUTE, KEEP_MINUTES, HOUR, KEEP_HOURS),
    )
