-- A page of the orders of a sale ($1), behind code $2: codes begin with their sale.
SELECT code, user_id, request_id,
       (extract(epoch FROM ordered_at) * 1000)::bigint AS at_ms,
       items, results
  FROM orders
 WHERE code > $2 AND code < 'CHK-' || $1 || '.' AND sale_id = $1
 ORDER BY code
 LIMIT $3
