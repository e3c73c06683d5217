-- A sale that is there stays as it is: its window and its limits are fixed once it is seeded.
INSERT INTO sales (id, flash_sale, starts_at, ends_at, total_items, per_user, per_checkout,
                   total_limit, partitions, best_effort)
VALUES ($1, $2, 'epoch'::timestamptz + $3::bigint * interval '1 microsecond',
        'epoch'::timestamptz + $4::bigint * interval '1 microsecond', $5, $6, $7, $8, $9, $10)
    ON CONFLICT (id) DO NOTHING
