-- A page of the item indexes that a sale sold, from $2 on.
SELECT item_idx FROM purchases WHERE sale_id = $1 AND item_idx >= $2 ORDER BY item_idx LIMIT $3
