-- Deletes everything that is kept of a FlashSale ($1) whose sales are all retired: once they are
-- deleted nothing refers to the rest any more. Items go with their sales.
WITH gone AS (
	DELETE FROM sales WHERE flash_sale = $1 RETURNING id
), no_purchases AS (
	DELETE FROM purchases USING gone WHERE purchases.sale_id = gone.id
), no_orders AS (
	DELETE FROM orders USING gone WHERE orders.sale_id = gone.id
)
DELETE FROM checkout_attempts USING gone WHERE checkout_attempts.sale_id = gone.id
