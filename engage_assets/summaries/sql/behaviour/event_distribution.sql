-- One row a name of an event, as logged. Events without a name are in the total alone.
WITH named AS (
  SELECT event,
         COUNT(*) AS event_count,
         COUNT(DISTINCT user_id) AS unique_users,
         COUNT(DISTINCT session_id) AS unique_sessions,
         SUM(COUNT(*)) OVER () AS all_events
  FROM events
  WHERE service = :service
    AND business_date BETWEEN :window_start AND :calculation_date
  GROUP BY event
)
SELECT :service AS service,
       :calculation_date AS calculation_date,
       :window_start AS window_start,
       :window_days AS window_days,
       event,
       event_count,
       unique_users,
       unique_sessions,
       FLOOR(CAST(20000 * event_count + all_events AS DOUBLE) / (2 * all_events)) / 100 AS percentage_of_total
FROM named
WHERE event IS NOT NULL
ORDER BY event_count DESC, event ASC
