-- Carts that were not bought, from the log of attempts: the codes of the sale ($1) with their
-- items, a user's latest code marked as the open one. $2 and $3 bound the days to look at.
WITH added AS (
    SELECT a.code, a.user_id, i.idx, min(a.attempted_at) AS added_at
      FROM checkout_attempts a
      JOIN items i ON i.sale_id = a.sale_id AND i.id = a.item_id
     WHERE a.sale_id = $1
       AND a.attempted_at >= 'epoch'::timestamptz + $2::bigint * interval '1 microsecond'
       AND a.attempted_at < 'epoch'::timestamptz + $3::bigint * interval '1 microsecond'
       AND a.outcome = 'added'
       AND NOT EXISTS (SELECT FROM orders o WHERE o.code = a.code)
     GROUP BY a.code, a.user_id, i.idx
), carts AS (
    SELECT code, user_id, string_agg(idx::text, ',' ORDER BY added_at) AS items,
           max(added_at) AS last_at
      FROM added
     GROUP BY code, user_id
)
SELECT code, user_id, items,
       last_at = max(last_at) OVER (PARTITION BY user_id) AS latest
  FROM carts
