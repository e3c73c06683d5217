-- The items of each code, and what became of them, in the order of its cart.
SELECT code, items, results FROM orders WHERE code = ANY ($1)
