-- A page of a catalogue, from index $2 on.
SELECT idx, id, name, image_url
  FROM items
 WHERE sale_id = $1 AND idx >= $2
 ORDER BY idx
 LIMIT $3
