-- The first day of each order in a month. Relation: ledger_days.
SELECT service, CAST(date_trunc('month', date) AS DATE) AS month, order_id, min(date) AS first_date
FROM ledger_days
WHERE order_id IS NOT NULL
GROUP BY ALL
