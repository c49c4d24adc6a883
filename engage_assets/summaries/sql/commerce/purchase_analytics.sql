-- One row a day of the window, also without purchases. Logs may lack amounts altogether: then revenue is null, not 0.
WITH days AS (
  SELECT CAST(day AS DATE) AS date
  FROM UNNEST(SEQUENCE(:window_start, :calculation_date, INTERVAL '1' DAY)) AS t(day)
),
bought AS (
  SELECT date, order_id, session_id, user_id, amount, payment_method, is_amount_invalid
  FROM purchases
  WHERE date >= :window_start
),
daily AS (
  SELECT date,
         COUNT(*) AS total_purchases,
         COUNT(user_id) AS purchases_with_user,
         COUNT(DISTINCT user_id) AS unique_purchasers,
         COUNT(DISTINCT session_id) AS unique_sessions,
         SUM(amount) AS total_revenue,
         CAST(SUM(amount) * 100 AS DECIMAL(38, 0)) AS cents,
         NULLIF(COUNT(amount), 0) AS purchases_with_amount,
         COUNT(CASE WHEN order_id IS NULL THEN 1 END) AS orderless_purchases,
         COUNT(CASE WHEN is_amount_invalid THEN 1 END) AS invalid_amount_count
  FROM bought
  GROUP BY date
),
method_counts AS (
  SELECT date, payment_method, COUNT(*) AS purchases
  FROM bought
  WHERE payment_method IS NOT NULL
  GROUP BY date, payment_method
),
methods AS (
  SELECT date, MAP_FROM_ENTRIES(ARRAY_SORT(ARRAY_AGG(ROW(payment_method, purchases)))) AS payment_method_counts
  FROM method_counts
  GROUP BY date
),
known AS (
  SELECT COUNT(amount) AS amounts
  FROM bought
)
SELECT :service AS service,
       :calculation_date AS calculation_date,
       :window_start AS window_start,
       :window_days AS window_days,
       days.date AS purchase_date,
       COALESCE(total_purchases, 0) AS total_purchases,
       COALESCE(unique_purchasers, 0) AS unique_purchasers,
       COALESCE(unique_sessions, 0) AS unique_sessions,
       CASE WHEN total_purchases IS NULL AND amounts > 0 THEN 0 ELSE total_revenue END AS total_revenue,
       -- cents divided with rest, one more where the rest is at least a half: half up on the exact ratio
       CAST(
         ROUND(CAST(cents - MOD(cents, purchases_with_amount) AS DOUBLE) / purchases_with_amount)
         + CASE WHEN 2 * MOD(cents, purchases_with_amount) >= purchases_with_amount THEN 1 ELSE 0 END
         AS DECIMAL(18, 0)
       ) * 0.01 AS avg_order_value,
       COALESCE(payment_method_counts, MAP()) AS payment_method_counts,
       CAST(purchases_with_user AS DOUBLE) / NULLIF(unique_purchasers, 0) AS purchases_per_user,
       COALESCE(orderless_purchases, 0) AS orderless_purchases,
       COALESCE(invalid_amount_count, 0) AS invalid_amount_count
FROM days
LEFT JOIN daily ON daily.date = days.date
LEFT JOIN methods ON methods.date = days.date
CROSS JOIN known
ORDER BY purchase_date
