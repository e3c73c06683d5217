-- Whether a sale is settled; false for one that is not there.
SELECT EXISTS (SELECT FROM sales WHERE id = $1 AND settled_at IS NOT NULL)
