-- A page of the outcomes of a sale ($1), behind code $2: codes begin with their sale.
SELECT code, user_id, request_id, at_ms, items, results, user_slots, sale_slots
  FROM order_outcomes
 WHERE code > $2 AND code < 'CHK-' || $1 || '.' AND sale_id = $1
 ORDER BY code
 LIMIT $3
