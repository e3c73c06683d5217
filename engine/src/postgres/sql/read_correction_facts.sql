-- What Redis must know after an outcome was corrected: the user's slots as a string of 0 and 1,
-- the highest sale slot, which of the items ($3) are sold, and which sale slots ($4) are free.
SELECT (SELECT coalesce(string_agg(CASE WHEN p.user_slot IS NULL THEN '0' ELSE '1' END, '' ORDER BY n), '')
          FROM generate_series(1, s.per_user) AS n
          LEFT JOIN purchases p ON p.sale_id = s.id AND p.user_id = $2 AND p.user_slot = n) AS user_slots,
       (SELECT coalesce(max(p.sale_slot), 0) FROM purchases p WHERE p.sale_id = s.id) AS highest_sale_slot,
       ARRAY(SELECT p.item_idx FROM purchases p
              WHERE p.sale_id = s.id AND p.item_idx = ANY ($3)) AS sold,
       ARRAY(SELECT n FROM UNNEST($4::integer[]) AS n
              WHERE NOT EXISTS (SELECT FROM purchases p
                                 WHERE p.sale_id = s.id AND p.sale_slot = n)) AS free_sale_slots
  FROM sales s
 WHERE s.id = $1
