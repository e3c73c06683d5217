-- Deletes a sale that may not open; its catalogue goes with it.
DELETE FROM sales WHERE id = $1 AND seeded_at IS NULL
