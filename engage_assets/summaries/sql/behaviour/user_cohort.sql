-- Four rows: the users active in the window by the days since they were first seen in all logs kept.
WITH active AS (
  SELECT user_id, MAX(date) AS last_date
  FROM user_day
  WHERE service = :service
    AND user_id IS NOT NULL
    AND date BETWEEN :window_start AND :calculation_date
  GROUP BY user_id
),
aged AS (
  SELECT last_date, DATE_DIFF('day', first_date, :calculation_date) AS age_days
  FROM active
  JOIN user_first_seen ON user_first_seen.user_id = active.user_id AND service = :service
),
classes AS (
  SELECT class, from_days, to_days
  FROM (VALUES ('New', 0, 7), ('Recent', 8, 30), ('Active', 31, 90), ('Veteran', 91, 100000))
    AS t(class, from_days, to_days)
),
counted AS (
  SELECT age_days, COUNT(*) AS users, COUNT(CASE WHEN DATE_DIFF('day', last_date, :calculation_date) < 7 THEN 1 END) AS recent
  FROM aged
  GROUP BY age_days
)
SELECT :service AS service,
       :calculation_date AS calculation_date,
       :window_start AS window_start,
       :window_days AS window_days,
       class,
       COALESCE(SUM(users), 0) AS user_count,
       COALESCE(SUM(recent), 0) AS active_last_7d
FROM classes
LEFT JOIN counted ON age_days BETWEEN from_days AND to_days
GROUP BY class, from_days
ORDER BY from_days
