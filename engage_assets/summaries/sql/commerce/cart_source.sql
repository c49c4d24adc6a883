-- One row a place that products were put into carts from.
WITH adds AS (
  SELECT COALESCE(source, 'unknown') AS source, product_id, user_id, session_id, quantity,
         CAST(quantity AS DECIMAL(4, 0)) * price AS value
  FROM events
  WHERE service = :service
    AND business_date BETWEEN :window_start AND :calculation_date
    AND kind = 'cart_add'
),
sources AS (
  SELECT source,
         COUNT(*) AS cart_add_count,
         COUNT(user_id) AS adds_with_user,
         COUNT(DISTINCT user_id) AS unique_users,
         COUNT(DISTINCT session_id) AS unique_sessions,
         COUNT(DISTINCT product_id) AS unique_products,
         SUM(quantity) AS total_quantity,
         SUM(value) AS total_cart_value,
         SUM(COUNT(*)) OVER () AS all_adds
  FROM adds
  GROUP BY source
)
SELECT :service AS service,
       :calculation_date AS calculation_date,
       :window_start AS window_start,
       :window_days AS window_days,
       source,
       cart_add_count,
       unique_users,
       unique_sessions,
       unique_products,
       total_quantity,
       total_cart_value,
       FLOOR(CAST(20000 * cart_add_count + all_adds AS DOUBLE) / (2 * all_adds)) / 100 AS source_percentage,
       CAST(adds_with_user AS DOUBLE) / NULLIF(unique_users, 0) AS avg_adds_per_user
FROM sources
ORDER BY cart_add_count DESC, source ASC
