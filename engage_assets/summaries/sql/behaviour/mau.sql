-- One row a month that the logs kept cover, and the month of the calculation date, whether covered or not.
WITH months AS (
  SELECT month,
         CAST(DATE_ADD('day', -1, CAST(DATE_ADD('month', 1, month) AS DATE)) AS DATE) AS last_day,
         active_users,
         sessions,
         events,
         MIN(first_date) OVER () AS logs_begin
  FROM month_total
  WHERE service = :service
    AND month <= :calculation_date
)
SELECT :service AS service,
       :calculation_date AS calculation_date,
       month AS window_start,
       DATE_DIFF('day', month, CASE WHEN last_day < :calculation_date THEN last_day ELSE :calculation_date END) + 1
         AS window_days,
       month,
       logs_begin <= month AND last_day <= :calculation_date AS is_complete,
       active_users AS monthly_active_users,
       sessions AS total_sessions,
       events AS total_events
FROM months
WHERE logs_begin <= month OR last_day >= :calculation_date
ORDER BY month
