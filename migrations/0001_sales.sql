-- Sales, their catalogues and what was sold.
--
-- Postgres is the truth: whatever Redis decides or forgets, the keys below are
-- the last guard against selling twice, over a user's limit or over a total.

CREATE TABLE sales (
    id           text        PRIMARY KEY,               -- <namespace>.<name>.<UTC start>
    flash_sale   text        NOT NULL,                  -- <namespace>.<name>
    starts_at    timestamptz NOT NULL,
    ends_at      timestamptz NOT NULL,
    total_items  integer     NOT NULL CHECK (total_items > 0),
    per_user     integer     NOT NULL CHECK (per_user > 0),
    per_checkout integer     NOT NULL CHECK (per_checkout > 0),
    total_limit  integer     NOT NULL CHECK (total_limit BETWEEN 1 AND total_items),
    partitions   smallint    NOT NULL CHECK (partitions > 0),
    best_effort  boolean     NOT NULL DEFAULT false,    -- attempts may be dropped, and counted
    seeded_at    timestamptz,                           -- the catalogue is complete
    closed_at    timestamptz,                           -- Redis sells nothing any more
    settled_at   timestamptz,                           -- Redis and Postgres agree item by item
    CHECK (ends_at > starts_at)
);

CREATE INDEX sales_by_flash_sale ON sales (flash_sale, starts_at);

CREATE TABLE items (
    sale_id   text    NOT NULL REFERENCES sales (id) ON DELETE CASCADE,
    idx       integer NOT NULL CHECK (idx >= 0),
    id        text    NOT NULL,
    name      text    NOT NULL,
    image_url text    NOT NULL,
    PRIMARY KEY (sale_id, idx)
);

-- One sale holds an id once; the id alone tells "another sale's item" from "no item".
CREATE UNIQUE INDEX items_by_id ON items (id, sale_id);

-- The outcome of a checkout code, decided once. `items` and `results` run in parallel,
-- in the order of the cart; a result is sold, already_sold or limit_reached.
CREATE TABLE orders (
    code       text        PRIMARY KEY,
    sale_id    text        NOT NULL,
    user_id    text        NOT NULL,
    items      integer[]   NOT NULL,
    results    text[]      NOT NULL,
    request_id text        NOT NULL,
    ordered_at timestamptz NOT NULL,
    CHECK (cardinality(items) = cardinality(results))
);

CREATE TABLE purchases (
    sale_id      text        NOT NULL,
    item_idx     integer     NOT NULL,
    user_id      text        NOT NULL,
    user_slot    integer     NOT NULL CHECK (user_slot >= 1),
    sale_slot    integer              CHECK (sale_slot >= 1),  -- only where the total is below the catalogue
    code         text        NOT NULL,
    purchased_at timestamptz NOT NULL,
    PRIMARY KEY (sale_id, item_idx),
    UNIQUE (sale_id, user_id, user_slot)
);

-- Partial: most sales sell their whole catalogue and need no such slots, and an index entry
-- for each of their nulls would be paid for by every purchase.
CREATE UNIQUE INDEX purchases_by_sale_slot ON purchases (sale_id, sale_slot)
    WHERE sale_slot IS NOT NULL;

-- Slots and items have upper bounds that a CHECK cannot see. One look per
-- statement, not per row: purchases arrive in groups.
CREATE FUNCTION purchases_within_sale() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    offender record;
BEGIN
    SELECT p.sale_id, p.item_idx, p.user_slot, p.sale_slot
      INTO offender
      FROM inserted p
      LEFT JOIN sales s ON s.id = p.sale_id
     WHERE s.id IS NULL
        OR p.item_idx >= s.total_items
        OR p.user_slot > s.per_user
        OR (s.total_limit < s.total_items
            AND (p.sale_slot IS NULL OR p.sale_slot > s.total_limit))
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'purchase outside its sale: sale % item % user slot % sale slot %',
            offender.sale_id, offender.item_idx, offender.user_slot, offender.sale_slot
            USING ERRCODE = 'check_violation', CONSTRAINT = 'purchases_within_sale';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER purchases_within_sale
    AFTER INSERT ON purchases
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION purchases_within_sale();

-- Outcomes in the text form that the engine and its Redis scripts share:
-- user|request id|unix ms|results, a result for each item of the cart, in its order.
CREATE VIEW order_records AS
SELECT o.code, o.sale_id,
       concat_ws('|', o.user_id, o.request_id,
                 (extract(epoch FROM o.ordered_at) * 1000)::bigint,
                 (SELECT string_agg(
                             CASE item.result
                                 WHEN 'sold' THEN format('%s:s:%s:%s', item.idx, p.user_slot, coalesce(p.sale_slot, 0))
                                 WHEN 'already_sold' THEN format('%s:a', item.idx)
                                 ELSE format('%s:l', item.idx)
                             END, ',' ORDER BY item.place)
                    FROM UNNEST(o.items, o.results) WITH ORDINALITY AS item (idx, result, place)
                    LEFT JOIN purchases p ON p.sale_id = o.sale_id AND p.item_idx = item.idx
                                         AND item.result = 'sold')) AS record
  FROM orders o;
