-- A page of the outcomes of a sale, behind code $2.
SELECT code, record
  FROM order_records
 WHERE sale_id = $1 AND code > $2
 ORDER BY code
 LIMIT $3
