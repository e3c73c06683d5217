-- Which milestones a sale ($1) has reached.
SELECT seeded_at IS NOT NULL AS seeded, closed_at IS NOT NULL AS closed,
       settled_at IS NOT NULL AS settled
  FROM sales
 WHERE id = $1
