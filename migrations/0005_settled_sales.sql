-- Once a sale is settled, Postgres takes no order of it: a process that pauses across the end of the
-- sale with a claim that it has not committed must not commit it after others were refused for good.

-- The key of the advisory lock of a sale's orders: shared by transactions that insert orders, taken
-- alone by the one that settles the sale. A lock of the row in `sales` would write to that row with
-- every commit.
CREATE FUNCTION order_lock(sale_id text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT hashtextextended(sale_id, 4270931)
$$;

CREATE FUNCTION orders_before_settlement() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    settled text;
BEGIN
    -- In one order, so that two transactions with the same sales cannot wait for each other.
    PERFORM pg_advisory_xact_lock_shared(order_lock(i.sale_id))
       FROM (SELECT DISTINCT sale_id FROM inserted ORDER BY sale_id) i;
    -- A statement of its own: it sees a settlement that the lock has waited for.
    SELECT s.id INTO settled
      FROM sales s
     WHERE s.settled_at IS NOT NULL AND s.id IN (SELECT sale_id FROM inserted)
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'sale % is settled: expected no further order', settled
            USING ERRCODE = 'FS001';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER orders_before_settlement
    AFTER INSERT ON orders
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION orders_before_settlement();
