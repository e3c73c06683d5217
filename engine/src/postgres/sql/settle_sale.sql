-- Settles a sale ($1) that has sold as many items ($2) as the audit found, so that it is not counted
-- again.
UPDATE sales
   SET settled_at = now(), sold = $2
 WHERE id = $1
   AND settled_at IS NULL
   AND (SELECT count(*) FROM purchases WHERE sale_id = $1) = $2
