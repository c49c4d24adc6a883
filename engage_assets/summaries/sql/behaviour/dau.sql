-- One row a day of the window, also without events.
WITH days AS (
  SELECT CAST(day AS DATE) AS date
  FROM UNNEST(SEQUENCE(:window_start, :calculation_date, INTERVAL '1' DAY)) AS t(day)
),
daily AS (
  SELECT date,
         COUNT(user_id) AS daily_active_users,
         SUM(events) AS daily_events,
         SUM(CASE WHEN user_id IS NOT NULL THEN events END) AS events_with_user
  FROM user_day
  WHERE service = :service
    AND date BETWEEN :window_start AND :calculation_date
  GROUP BY date
),
started AS (
  SELECT start_date, COUNT(*) AS daily_sessions
  FROM sessions
  GROUP BY start_date
),
-- A user counts in the 30 days that begin with a day of activity, or until the next such day: every user once a day.
active AS (
  SELECT date, LEAD(date) OVER (PARTITION BY user_id ORDER BY date) AS next_date
  FROM user_day
  WHERE service = :service
    AND user_id IS NOT NULL
    AND date BETWEEN CAST(DATE_ADD('day', -29, :window_start) AS DATE) AND :calculation_date
),
changes AS (
  SELECT date, COUNT(*) AS change
  FROM active
  GROUP BY date
  UNION ALL
  SELECT date, 0
  FROM days
  UNION ALL
  SELECT CASE WHEN DATE_DIFF('day', date, next_date) < 30 THEN next_date ELSE CAST(DATE_ADD('day', 30, date) AS DATE) END,
         -1
  FROM active
),
rolling AS (
  SELECT date, SUM(SUM(change)) OVER (ORDER BY date ASC) AS rolling_mau_30d
  FROM changes
  GROUP BY date
)
SELECT :service AS service,
       :calculation_date AS calculation_date,
       :window_start AS window_start,
       :window_days AS window_days,
       days.date AS date,
       COALESCE(daily_active_users, 0) AS daily_active_users,
       COALESCE(daily_sessions, 0) AS daily_sessions,
       COALESCE(daily_events, 0) AS daily_events,
       CAST(events_with_user AS DOUBLE) / NULLIF(daily_active_users, 0) AS events_per_user,
       rolling_mau_30d,
       FLOOR(
         CAST(20000 * COALESCE(daily_active_users, 0) + rolling_mau_30d AS DOUBLE) / (2 * NULLIF(rolling_mau_30d, 0))
       ) / 100 AS stickiness
FROM days
JOIN rolling ON rolling.date = days.date
LEFT JOIN daily ON daily.date = days.date
LEFT JOIN started ON start_date = days.date
ORDER BY date
