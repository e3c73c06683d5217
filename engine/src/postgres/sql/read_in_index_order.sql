-- Has the further statements of the transaction read pages in the order of an index. Without
-- statistics, as early in a sale, a plan may read and sort all rows behind a page for each page.
-- Postgres counts a plan that sorts all the same as so expensive that it compiles it, unless jit is off.
SELECT set_config('enable_bitmapscan', 'off', true),
       set_config('enable_sort', 'off', true),
       set_config('jit', 'off', true)
