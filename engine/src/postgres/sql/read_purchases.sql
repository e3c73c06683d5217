-- A page of what a sale sold, from item index $2 on.
SELECT item_idx, user_id, user_slot, coalesce(sale_slot, 0) AS sale_slot
  FROM purchases
 WHERE sale_id = $1 AND item_idx >= $2
 ORDER BY item_idx
 LIMIT $3
