-- One row a category that products were put into carts of.
WITH adds AS (
  SELECT COALESCE(category, 'Uncategorized') AS category, product_id, user_id, quantity,
         CAST(quantity AS DECIMAL(4, 0)) * price AS value,
         CASE WHEN price IS NOT NULL THEN quantity END AS valued_quantity
  FROM events
  WHERE service = :service
    AND business_date BETWEEN :window_start AND :calculation_date
    AND kind = 'cart_add'
),
categories AS (
  SELECT category,
         COUNT(*) AS cart_add_count,
         COUNT(DISTINCT product_id) AS unique_products,
         COUNT(DISTINCT user_id) AS unique_users,
         SUM(quantity) AS total_quantity,
         SUM(value) AS total_value,
         CAST(SUM(value) * 100 AS DECIMAL(38, 0)) AS cents,
         SUM(valued_quantity) AS valued_quantity,
         ROW_NUMBER() OVER (ORDER BY COUNT(*) DESC, category ASC) AS rank_no
  FROM adds
  GROUP BY category
)
SELECT :service AS service,
       :calculation_date AS calculation_date,
       :window_start AS window_start,
       :window_days AS window_days,
       rank_no,
       category,
       cart_add_count,
       unique_products,
       unique_users,
       total_quantity,
       -- cents divided with rest, one more where the rest is at least a half: half up on the exact ratio
       CAST(
         ROUND(CAST(cents - MOD(cents, valued_quantity) AS DOUBLE) / valued_quantity)
         + CASE WHEN 2 * MOD(cents, valued_quantity) >= valued_quantity THEN 1 ELSE 0 END
         AS DECIMAL(18, 0)
       ) * 0.01 AS avg_price,
       total_value
FROM categories
WHERE rank_no <= :top_n
ORDER BY rank_no
