-- One row a day on which sessions start: how many of them come to a step, each step by itself, and whose they are.
-- A purchase counts once an order: a session that shows an order again has not purchased.
WITH carts AS (
  SELECT start_date, COUNT(DISTINCT adders.user_id) AS cart_users
  FROM session_day
  JOIN sessions ON sessions.session_id = session_day.session_id
  CROSS JOIN UNNEST(cart_users) AS adders(user_id)
  WHERE service = :service
    AND date BETWEEN CAST(DATE_ADD('day', -3, :window_start) AS DATE) AND :calculation_date
    AND session_day.has_cart
  GROUP BY start_date
),
bought AS (
  SELECT start_date,
         COUNT(DISTINCT purchases.session_id) AS purchase_sessions,
         COUNT(DISTINCT user_id) AS purchasing_users
  FROM purchases
  JOIN sessions ON sessions.session_id = purchases.session_id
  GROUP BY start_date
),
started AS (
  SELECT start_date,
         COUNT(*) AS total_sessions,
         COUNT(CASE WHEN has_view THEN 1 END) AS product_view_sessions,
         COUNT(CASE WHEN has_cart THEN 1 END) AS cart_add_sessions
  FROM sessions
  GROUP BY start_date
),
steps AS (
  SELECT started.start_date AS date,
         total_sessions,
         product_view_sessions,
         cart_add_sessions,
         COALESCE(purchase_sessions, 0) AS purchase_sessions,
         COALESCE(cart_users, 0) AS cart_users,
         COALESCE(purchasing_users, 0) AS purchasing_users
  FROM started
  LEFT JOIN carts ON carts.start_date = started.start_date
  LEFT JOIN bought ON bought.start_date = started.start_date
)
SELECT :service AS service,
       :calculation_date AS calculation_date,
       :window_start AS window_start,
       :window_days AS window_days,
       date,
       total_sessions,
       product_view_sessions,
       cart_add_sessions,
       purchase_sessions,
       FLOOR(CAST(20000 * product_view_sessions + total_sessions AS DOUBLE) / (2 * total_sessions)) / 100 AS view_rate,
       FLOOR(
         CAST(20000 * cart_add_sessions + product_view_sessions AS DOUBLE) / (2 * NULLIF(product_view_sessions, 0))
       ) / 100 AS view_to_cart_rate,
       FLOOR(
         CAST(20000 * purchase_sessions + cart_add_sessions AS DOUBLE) / (2 * NULLIF(cart_add_sessions, 0))
       ) / 100 AS cart_to_purchase_rate,
       cart_users,
       purchasing_users,
       FLOOR(CAST(20000 * purchasing_users + cart_users AS DOUBLE) / (2 * NULLIF(cart_users, 0))) / 100
         AS user_conversion_rate
FROM steps
ORDER BY date
