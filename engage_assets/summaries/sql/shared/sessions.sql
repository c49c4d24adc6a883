-- One row a session that starts in the window: the days of a session that crosses midnight are put together.
-- A session starts with its first session start, else with its first event. The three days before the window are read
-- too, so that a session that began there is not taken for one that starts in the window.
WITH parts AS (
  SELECT session_id, date, start_hour, has_session_start, first_time, last_time,
         events, event_types, event_type_count, has_view, has_cart
  FROM session_day
  WHERE service = :service
    AND date BETWEEN CAST(DATE_ADD('day', -3, :window_start) AS DATE) AND :calculation_date
),
merged AS (
  SELECT session_id,
         COUNT(*) AS day_count,
         COALESCE(MIN(CASE WHEN has_session_start THEN date END), MIN(date)) AS start_date,
         COALESCE(
           MIN_BY(start_hour, CASE WHEN has_session_start THEN date END),
           MIN_BY(start_hour, date)
         ) AS start_hour,
         MIN(first_time) AS first_time,
         MAX(last_time) AS last_time,
         SUM(events) AS events,
         MAX(event_type_count) AS event_type_count,
         BOOL_OR(has_view) AS has_view,
         BOOL_OR(has_cart) AS has_cart
  FROM parts
  GROUP BY session_id
),
-- Kinds of events seen on both sides of midnight count once; only such sessions need their lists.
several_parts AS (
  SELECT parts.session_id, COUNT(DISTINCT types.event) AS event_type_count
  FROM parts
  JOIN merged ON merged.session_id = parts.session_id
  CROSS JOIN UNNEST(parts.event_types) AS types(event)
  WHERE merged.day_count > 1
  GROUP BY parts.session_id
)
SELECT merged.session_id AS session_id,
       start_date,
       start_hour,
       CAST(events AS BIGINT) AS events,
       COALESCE(several_parts.event_type_count, merged.event_type_count) AS event_types,
       -- seconds as doubles are exact to a quarter of a microsecond
       CAST(ROUND(1000000 * (TO_UNIXTIME(last_time) - TO_UNIXTIME(first_time))) AS BIGINT) AS duration_us,
       has_view,
       has_cart
FROM merged
LEFT JOIN several_parts ON several_parts.session_id = merged.session_id
WHERE start_date >= :window_start
