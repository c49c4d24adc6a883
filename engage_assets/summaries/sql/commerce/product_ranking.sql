-- One row a product that was put into carts.
WITH adds AS (
  SELECT product_id, product_name, category, seller, user_id, session_id, event_time, quantity, price, invalid_values,
         CAST(quantity AS DECIMAL(4, 0)) * price AS value,
         CASE WHEN price IS NOT NULL THEN quantity END AS valued_quantity
  FROM events
  WHERE service = :service
    AND business_date BETWEEN :window_start AND :calculation_date
    AND kind = 'cart_add'
    AND product_id IS NOT NULL
),
products AS (
  SELECT product_id,
         COUNT(*) AS cart_add_count,
         COUNT(DISTINCT user_id) AS unique_users,
         COUNT(DISTINCT session_id) AS unique_sessions,
         SUM(quantity) AS total_quantity,
         SUM(value) AS total_cart_value,
         CAST(SUM(value) * 100 AS DECIMAL(38, 0)) AS cents,
         SUM(valued_quantity) AS valued_quantity,
         SUM(invalid_values) AS invalid_value_count,
         ROW_NUMBER() OVER (ORDER BY COUNT(*) DESC, product_id ASC) AS rank_no
  FROM adds
  GROUP BY product_id
),
-- The latest label that is not null, each by itself; of several at one instant the greatest.
labels_by_time AS (
  SELECT adds.product_id, event_time, MAX(product_name) AS product_name, MAX(category) AS category, MAX(seller) AS seller
  FROM adds
  JOIN products ON products.product_id = adds.product_id
  WHERE rank_no <= :top_n
  GROUP BY adds.product_id, event_time
),
labels AS (
  SELECT product_id,
         MAX_BY(product_name, CASE WHEN product_name IS NOT NULL THEN event_time END) AS product_name,
         MAX_BY(category, CASE WHEN category IS NOT NULL THEN event_time END) AS category,
         MAX_BY(seller, CASE WHEN seller IS NOT NULL THEN event_time END) AS seller
  FROM labels_by_time
  GROUP BY product_id
)
SELECT :service AS service,
       :calculation_date AS calculation_date,
       :window_start AS window_start,
       :window_days AS window_days,
       rank_no,
       products.product_id AS productId,
       product_name AS productName,
       category,
       seller,
       cart_add_count,
       unique_users,
       unique_sessions,
       total_quantity,
       -- cents divided with rest, one more where the rest is at least a half: half up on the exact ratio
       CAST(
         ROUND(CAST(cents - MOD(cents, valued_quantity) AS DOUBLE) / valued_quantity)
         + CASE WHEN 2 * MOD(cents, valued_quantity) >= valued_quantity THEN 1 ELSE 0 END
         AS DECIMAL(18, 0)
       ) * 0.01 AS avg_sale_price,
       total_cart_value,
       invalid_value_count
FROM products
JOIN labels ON labels.product_id = products.product_id
WHERE rank_no <= :top_n
ORDER BY rank_no
