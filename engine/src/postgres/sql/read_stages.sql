-- Which milestones these sales ($1) have reached.
SELECT id, seeded_at IS NOT NULL AS seeded, closed_at IS NOT NULL AS closed,
       settled_at IS NOT NULL AS settled
  FROM sales
 WHERE id = ANY ($1::text[])
