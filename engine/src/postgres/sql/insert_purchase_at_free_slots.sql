-- The slow path: one item for one user, at the lowest free slots. No row comes back where the
-- item is taken, the user or the sale has no slot left, or another transaction was faster.
INSERT INTO purchases (sale_id, item_idx, user_id, user_slot, sale_slot, code, purchased_at)
SELECT s.id, $2, $3, mine.slot, CASE WHEN s.total_limit < s.total_items THEN every.slot END,
       $4, 'epoch'::timestamptz + $5::bigint * interval '1 millisecond'
  FROM sales s
 CROSS JOIN LATERAL (
       SELECT min(n) AS slot FROM generate_series(1, s.per_user) AS n
        WHERE NOT EXISTS (SELECT FROM purchases p
                           WHERE p.sale_id = s.id AND p.user_id = $3 AND p.user_slot = n)) mine
 CROSS JOIN LATERAL (
       SELECT min(n) AS slot FROM generate_series(1, s.total_limit) AS n
        WHERE s.total_limit < s.total_items
          AND NOT EXISTS (SELECT FROM purchases p
                           WHERE p.sale_id = s.id AND p.sale_slot = n)) every
 WHERE s.id = $1
   AND mine.slot IS NOT NULL
   AND (s.total_limit = s.total_items OR every.slot IS NOT NULL)
    ON CONFLICT DO NOTHING
RETURNING user_slot, coalesce(sale_slot, 0) AS sale_slot
