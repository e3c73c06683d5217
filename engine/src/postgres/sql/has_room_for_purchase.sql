-- Why insert_purchase_at_free_slots.sql inserted nothing: is the item taken, and has the user (and the sale) room?
-- Where everything may be sold, an item that is not taken is room: no purchase is counted.
SELECT EXISTS (SELECT FROM purchases p WHERE p.sale_id = s.id AND p.item_idx = $2) AS taken,
       (SELECT count(*) FROM purchases p WHERE p.sale_id = s.id AND p.user_id = $3) < s.per_user
       AND CASE WHEN s.total_limit < s.total_items
                THEN (SELECT count(*) FROM purchases p WHERE p.sale_id = s.id) < s.total_limit
                ELSE true END AS room
  FROM sales s
 WHERE s.id = $1
