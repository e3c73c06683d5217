-- Carts of a sale that were not bought, from the log of attempts: codes of one cart partition with
-- their items in order, a user's latest code marked, also where a later one is bought.
-- $1 is the sale, $2 the number of its FlashSale, $3 its number in it, $4 what suffixes of the
-- partition begin with; $5 and $6 bound the days to read, Unix time in microseconds; $7 are
-- the outcomes that tell a user that the item is in the cart.
WITH added AS (
    SELECT a.code_suffix, a.user_id, i.idx, min(a.attempted_at) AS added_at
      FROM attempts a
      JOIN items i ON i.sale_id = $1 AND i.id = a.item_id
     WHERE a.flash_sale_no = $2
       AND a.sale_minute = $3
       AND a.code_suffix >= $4::text
       AND a.code_suffix < $4::text || '~'
       AND a.attempted_at >= 'epoch'::timestamptz + $5::bigint * interval '1 microsecond'
       AND a.attempted_at < 'epoch'::timestamptz + $6::bigint * interval '1 microsecond'
       AND a.outcome = ANY ($7::smallint[])
     GROUP BY a.code_suffix, a.user_id, i.idx
), carts AS (
    SELECT code_suffix, user_id, string_agg(idx::text, ',' ORDER BY added_at, idx) AS items,
           max(added_at) AS last_at
      FROM added
     GROUP BY code_suffix, user_id
), ranked AS (
    SELECT code_suffix, user_id, items,
           last_at = max(last_at) OVER (PARTITION BY user_id) AS is_latest
      FROM carts
), bought AS (
    SELECT right(o.code, 22) AS code_suffix
      FROM orders o
     WHERE o.code >= concat('CHK-', $1::text, '-', $4::text)
       AND o.code < concat('CHK-', $1::text, '-', $4::text, '~')
)
SELECT r.code_suffix, r.user_id, r.items, r.is_latest
  FROM ranked r
 WHERE NOT EXISTS (SELECT FROM bought b WHERE b.code_suffix = r.code_suffix)
