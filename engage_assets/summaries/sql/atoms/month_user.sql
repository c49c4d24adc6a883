-- One row a user and month, and one without user. Relation: user_days.
SELECT
  service,
  CAST(date_trunc('month', date) AS DATE) AS month,
  user_id,
  min(date) AS first_date,
  max(date) AS last_date,
  count(*) AS active_days,
  CAST(sum(events) AS BIGINT) AS events
FROM user_days
GROUP BY ALL
