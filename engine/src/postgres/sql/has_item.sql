-- Whether any sale has an item of this id.
SELECT EXISTS (SELECT FROM items WHERE id = $1)
