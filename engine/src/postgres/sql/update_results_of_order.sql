-- The slow path: what became of the items of an order ($1), where its purchases ended otherwise than
-- its claim. The order is inserted before them, in the same transaction.
UPDATE orders SET results = $2 WHERE code = $1
