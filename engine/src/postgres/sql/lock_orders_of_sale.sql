-- Waits for the orders of a sale ($1) that are being inserted, and keeps others waiting until the end
-- of the transaction. The trigger orders_before_settlement takes the same lock, shared.
SELECT pg_advisory_xact_lock(order_lock($1))
