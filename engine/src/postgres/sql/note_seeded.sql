UPDATE sales SET seeded_at = now() WHERE id = $1 AND seeded_at IS NULL
