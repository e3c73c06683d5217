-- What became of the items of each code, in the order of its cart.
SELECT code, results FROM orders WHERE code = ANY ($1)
