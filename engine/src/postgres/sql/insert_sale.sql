-- A sale, in one transaction with its catalogue: a reader sees it whole or not at all. It is marked
-- as seeded later, once Redis holds it. One that is there stays as it is.
INSERT INTO sales (id, flash_sale, starts_at, ends_at, total_items, per_user, per_checkout,
                   total_limit, partitions, best_effort, format)
VALUES ($1, $2, 'epoch'::timestamptz + $3::bigint * interval '1 microsecond',
        'epoch'::timestamptz + $4::bigint * interval '1 microsecond', $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (id) DO NOTHING
