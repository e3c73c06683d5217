-- Also fixes the count of sold items, so that a settled sale is not counted again.
UPDATE sales
   SET settled_at = now(),
       sold = (SELECT count(*) FROM purchases WHERE sale_id = sales.id)
 WHERE id = $1 AND settled_at IS NULL
