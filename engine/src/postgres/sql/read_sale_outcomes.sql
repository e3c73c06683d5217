-- A page of the outcomes of a sale ($1), behind code $2: codes begin with their sale. As
-- read_outcomes.sql.
SELECT o.code, o.user_id, o.request_id,
       (extract(epoch FROM o.ordered_at) * 1000)::bigint AS at_ms,
       o.items, o.results, slots.user_slots, slots.sale_slots
  FROM (SELECT *
          FROM orders
         WHERE code > $2 AND code < 'CHK-' || $1 || '.' AND sale_id = $1
         ORDER BY code
         LIMIT $3) o
 CROSS JOIN LATERAL (
       SELECT coalesce(array_agg(coalesce(p.user_slot, 0) ORDER BY item.place), '{}') AS user_slots,
              coalesce(array_agg(coalesce(p.sale_slot, 0) ORDER BY item.place), '{}') AS sale_slots
         FROM UNNEST(o.items, o.results) WITH ORDINALITY AS item (idx, result, place)
         LEFT JOIN LATERAL (
              SELECT b.user_slot, b.sale_slot
                FROM purchases b
               WHERE b.sale_id = o.sale_id AND b.item_idx = item.idx AND item.result = 'sold'
               LIMIT 1) p ON true) slots
 ORDER BY o.code
