-- Has the further statements of the transaction read pages in the order of an index. Without
-- statistics, as early in a sale, a plan may read and sort all rows behind a page for each page.
-- Without jit = off Postgres compiles such a plan, whose cost it takes for very high.
SELECT set_config('enable_bitmapscan', 'off', true),
       set_config('enable_sort', 'off', true),
       set_config('jit', 'off', true)
