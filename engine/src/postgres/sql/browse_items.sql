-- A page of a catalogue with what is sold: from index $2 on, all items, or (where $3 is not
-- null) those that are for sale ($3 true) or sold ($3 false).
SELECT i.idx, i.id, i.name, i.image_url, p.item_idx IS NOT NULL AS sold
  FROM items i
  LEFT JOIN purchases p ON p.sale_id = i.sale_id AND p.item_idx = i.idx
 WHERE i.sale_id = $1 AND i.idx >= $2
   AND ($3::boolean IS NULL OR $3 = (p.item_idx IS NULL))
 ORDER BY i.idx
 LIMIT $4
