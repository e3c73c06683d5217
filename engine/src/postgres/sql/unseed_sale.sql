-- Takes the mark from a sale that has not begun which says that it may open.
UPDATE sales SET seeded_at = NULL WHERE id = $1 AND starts_at > now()
