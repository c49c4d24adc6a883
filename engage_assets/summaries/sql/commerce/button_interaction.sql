-- One row an action: its clicks, who made them, and the place (menu, page) with most of them.
WITH clicks AS (
  SELECT action, menu_name, page, user_id, session_id
  FROM events
  WHERE service = :service
    AND business_date BETWEEN :window_start AND :calculation_date
    AND kind = 'button_click'
    AND action IS NOT NULL
),
actions AS (
  SELECT action,
         COUNT(*) AS total_clicks,
         COUNT(user_id) AS clicks_with_user,
         COUNT(DISTINCT user_id) AS unique_users,
         COUNT(DISTINCT session_id) AS unique_sessions,
         ROW_NUMBER() OVER (ORDER BY COUNT(*) DESC, action ASC) AS rank_no
  FROM clicks
  GROUP BY action
),
places AS (
  SELECT action,
         menu_name,
         page,
         COUNT(*) OVER (PARTITION BY action) AS place_count,
         ROW_NUMBER() OVER (
           PARTITION BY action
           ORDER BY COUNT(*) DESC, menu_name ASC NULLS LAST, page ASC NULLS LAST
         ) AS place_no
  FROM clicks
  WHERE menu_name IS NOT NULL OR page IS NOT NULL
  GROUP BY action, menu_name, page
)
SELECT :service AS service,
       :calculation_date AS calculation_date,
       :window_start AS window_start,
       :window_days AS window_days,
       rank_no,
       actions.action AS action,
       total_clicks,
       unique_users,
       unique_sessions,
       CAST(clicks_with_user AS DOUBLE) / NULLIF(unique_users, 0) AS avg_clicks_per_user,
       menu_name,
       page,
       COALESCE(place_count, 0) AS place_count
FROM actions
LEFT JOIN places ON places.action = actions.action AND place_no = 1
WHERE rank_no <= :top_n
ORDER BY rank_no
