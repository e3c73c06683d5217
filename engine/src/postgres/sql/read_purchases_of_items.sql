-- The purchases of the items ($2) of a sale ($1) that were sold.
SELECT item_idx, user_id, user_slot, coalesce(sale_slot, 0) AS sale_slot
  FROM purchases
 WHERE sale_id = $1 AND item_idx = ANY ($2)
 ORDER BY item_idx
