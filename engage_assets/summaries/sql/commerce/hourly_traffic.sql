-- 24 rows, one an hour: sessions by the hour they start in; users and cart adds by their own hour.
WITH hours AS (
  SELECT hour
  FROM UNNEST(SEQUENCE(0, 23)) AS t(hour)
),
started AS (
  SELECT start_hour,
         COUNT(*) AS sessions,
         COUNT(CASE WHEN has_cart THEN 1 END) AS cart_sessions
  FROM sessions
  GROUP BY start_hour
),
seen AS (
  SELECT business_hour,
         COUNT(DISTINCT user_id) AS unique_users,
         COUNT(CASE WHEN kind = 'cart_add' THEN 1 END) AS cart_adds
  FROM events
  WHERE service = :service
    AND business_date BETWEEN :window_start AND :calculation_date
  GROUP BY business_hour
)
SELECT :service AS service,
       :calculation_date AS calculation_date,
       :window_start AS window_start,
       :window_days AS window_days,
       hour,
       COALESCE(sessions, 0) AS sessions,
       COALESCE(unique_users, 0) AS unique_users,
       COALESCE(cart_adds, 0) AS cart_adds,
       COALESCE(cart_sessions, 0) AS cart_sessions,
       FLOOR(CAST(20000 * cart_sessions + sessions AS DOUBLE) / (2 * sessions)) / 100 AS cart_conversion_rate
FROM hours
LEFT JOIN started ON start_hour = hour
LEFT JOIN seen ON business_hour = hour
ORDER BY hour
