-- One row a search term that was searched. A click counts for the term it carries, or that silver found for it.
WITH seen AS (
  SELECT kind, search_term, session_id, result_count
  FROM events
  WHERE service = :service
    AND business_date BETWEEN :window_start AND :calculation_date
    AND kind IN ('search', 'result_click')
),
by_session AS (
  SELECT search_term,
         session_id,
         COUNT(CASE WHEN kind = 'search' THEN 1 END) AS searches,
         COUNT(CASE WHEN kind = 'result_click' THEN 1 END) AS clicks,
         COUNT(CASE WHEN kind = 'search' THEN result_count END) AS counted_searches,
         COUNT(CASE WHEN kind = 'search' AND result_count = 0 THEN 1 END) AS zero_results
  FROM seen
  WHERE search_term IS NOT NULL
  GROUP BY search_term, session_id
),
terms AS (
  SELECT search_term,
         SUM(searches) AS search_count,
         COUNT(CASE WHEN searches > 0 THEN session_id END) AS search_sessions,
         SUM(clicks) AS click_count,
         COUNT(CASE WHEN searches > 0 AND clicks > 0 THEN session_id END) AS clicked_sessions,
         SUM(counted_searches) AS counted_searches,
         SUM(zero_results) AS zero_results,
         ROW_NUMBER() OVER (ORDER BY SUM(searches) DESC, search_term ASC) AS rank_no
  FROM by_session
  GROUP BY search_term
  HAVING SUM(searches) > 0
),
-- An absent number of results is not 0: without any in the window nothing is known about empty results.
known AS (
  SELECT COUNT(result_count) AS counted_searches
  FROM seen
  WHERE kind = 'search'
)
SELECT :service AS service,
       :calculation_date AS calculation_date,
       :window_start AS window_start,
       :window_days AS window_days,
       rank_no,
       search_term,
       search_count,
       search_sessions,
       click_count,
       clicked_sessions,
       FLOOR(CAST(20000 * clicked_sessions + search_sessions AS DOUBLE) / (2 * NULLIF(search_sessions, 0))) / 100
         AS click_through_rate,
       CASE WHEN known.counted_searches > 0 THEN zero_results END AS zero_result_searches,
       FLOOR(CAST(20000 * zero_results + terms.counted_searches AS DOUBLE) / (2 * NULLIF(terms.counted_searches, 0)))
         / 100 AS zero_result_rate
FROM terms
CROSS JOIN known
WHERE rank_no <= :top_n
ORDER BY rank_no
