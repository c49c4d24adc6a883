-- One row a day on which sessions start. Median and p90 are read off the histogram of events per session: exact, and
-- the same on every engine.
WITH histogram AS (
  SELECT start_date,
         events,
         COUNT(*) AS sessions,
         SUM(event_types) AS event_types,
         SUM(duration_us) AS duration_us
  FROM sessions
  GROUP BY start_date, events
),
ranked AS (
  SELECT start_date, events, sessions, event_types, duration_us,
         SUM(sessions) OVER (PARTITION BY start_date ORDER BY events ASC) AS up_to,
         SUM(sessions) OVER (PARTITION BY start_date) AS all_sessions
  FROM histogram
),
daily AS (
  SELECT start_date AS date,
         SUM(sessions) AS total_sessions,
         SUM(sessions * events) AS events,
         SUM(event_types) AS event_types,
         SUM(duration_us) AS duration_us,
         MAX(events) AS max_events,
         -- the middle two: the smallest counts that half of the sessions, and more than half, do not exceed
         MIN(CASE WHEN 2 * up_to >= all_sessions THEN events END) AS lower_median,
         MIN(CASE WHEN 2 * up_to > all_sessions THEN events END) AS upper_median,
         MIN(CASE WHEN 10 * up_to >= 9 * all_sessions THEN events END) AS p90_events,
         SUM(CASE WHEN events = 1 THEN sessions ELSE 0 END) AS bounces
  FROM ranked
  GROUP BY start_date
)
SELECT :service AS service,
       :calculation_date AS calculation_date,
       :window_start AS window_start,
       :window_days AS window_days,
       date,
       total_sessions,
       CAST(events AS DOUBLE) / total_sessions AS avg_events_per_session,
       CAST(event_types AS DOUBLE) / total_sessions AS avg_event_types_per_session,
       max_events AS max_events_per_session,
       CAST(lower_median + upper_median AS DOUBLE) / 2 AS median_events_per_session,
       p90_events AS p90_events_per_session,
       CAST(duration_us AS DOUBLE) / total_sessions / 1000000 AS avg_duration_seconds,
       FLOOR(CAST(20000 * bounces + total_sessions AS DOUBLE) / (2 * total_sessions)) / 100 AS bounce_rate
FROM daily
ORDER BY date
