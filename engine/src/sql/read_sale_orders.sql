-- A page of the outcomes of a sale ($1), behind code $2: codes begin with their sale.
SELECT code, record
  FROM order_records
 WHERE code > $2 AND code < 'CHK-' || $1 || '.' AND sale_id = $1
 ORDER BY code
 LIMIT $3
