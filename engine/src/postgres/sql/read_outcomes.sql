-- Outcomes by code: the items of each cart in their order, with the slots of those that were sold.
-- What the view order_outcomes shows, item by item: LIMIT has each purchase found by its key. Without
-- statistics, as early in a sale, a plan may join every purchase of the sale for each order.
SELECT o.code, o.user_id, o.request_id,
       (extract(epoch FROM o.ordered_at) * 1000)::bigint AS at_ms,
       o.items, o.results, slots.user_slots, slots.sale_slots
  FROM orders o
 CROSS JOIN LATERAL (
       SELECT coalesce(array_agg(coalesce(p.user_slot, 0) ORDER BY item.place), '{}') AS user_slots,
              coalesce(array_agg(coalesce(p.sale_slot, 0) ORDER BY item.place), '{}') AS sale_slots
         FROM UNNEST(o.items, o.results) WITH ORDINALITY AS item (idx, result, place)
         LEFT JOIN LATERAL (
              SELECT b.user_slot, b.sale_slot
                FROM purchases b
               WHERE b.sale_id = o.sale_id AND b.item_idx = item.idx AND item.result = 'sold'
               LIMIT 1) p ON true) slots
 WHERE o.code = ANY ($1)
