-- Carts of a sale that were not bought, from the log of attempts: codes of one cart partition with
-- their items in order, a user's latest code marked, also where a later one is bought.
-- $1 is the sale, $2 the number of its FlashSale, $3 its number in it, $4 what suffixes of the
-- partition begin with; $5 and $6 bound the days to read, Unix time in microseconds; $7 are
-- the outcomes that tell a user that the item is in the cart. Most carts of a sale are bought: the
-- items of the others alone are read, each by its key (LIMIT). No table is joined with itself, because
-- a plan from before the sale expects next to no rows.
WITH carts AS (
    SELECT a.code_suffix, a.user_id, max(a.attempted_at) AS last_at,
           array_agg(a.item_id ORDER BY a.attempted_at, a.item_id COLLATE "C") AS item_ids
      FROM attempts a
     WHERE a.flash_sale_no = $2
       AND a.sale_minute = $3
       AND a.code_suffix >= $4::text
       AND a.code_suffix < $4::text || '~'
       AND a.attempted_at >= 'epoch'::timestamptz + $5::bigint * interval '1 microsecond'
       AND a.attempted_at < 'epoch'::timestamptz + $6::bigint * interval '1 microsecond'
       AND a.outcome = ANY ($7::smallint[])
     GROUP BY a.code_suffix, a.user_id
), ranked AS (
    SELECT code_suffix, user_id, item_ids,
           last_at = max(last_at) OVER (PARTITION BY user_id) AS is_latest
      FROM carts
), unbought AS (
    SELECT r.code_suffix, r.user_id, r.item_ids, r.is_latest
      FROM ranked r
     WHERE NOT EXISTS (SELECT FROM orders o
                        WHERE o.code = concat('CHK-', $1::text, '-', r.code_suffix)
                          AND o.code >= concat('CHK-', $1::text, '-', $4::text)
                          AND o.code < concat('CHK-', $1::text, '-', $4::text, '~'))
), added AS (
    SELECT u.code_suffix, u.user_id, u.is_latest, i.idx, min(l.place) AS place
      FROM unbought u
     CROSS JOIN unnest(u.item_ids) WITH ORDINALITY AS l (item_id, place)
     CROSS JOIN LATERAL (
           SELECT n.idx FROM items n WHERE n.sale_id = $1 AND n.id = l.item_id LIMIT 1) i
     GROUP BY u.code_suffix, u.user_id, u.is_latest, i.idx
)
SELECT code_suffix, user_id, string_agg(idx::text, ',' ORDER BY place) AS items, is_latest
  FROM added
 GROUP BY code_suffix, user_id, is_latest
