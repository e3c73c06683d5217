-- Releases items that Redis holds as sold and Postgres does not: the audit of a closed sale.
--
-- Guarantees: idempotent; only on a closed sale, where no claim can come in between.
--
-- KEYS  1 meta  2 sold
-- ARGV  item indexes
-- Returns how many were released.

if redis.call('HEXISTS', KEYS[1], 'closed') == 0 then
  return redis.error_reply('OPEN sale: items are released only after its close')
end
local released = 0
for i = 1, #ARGV do
  released = released + redis.call('SETBIT', KEYS[2], ARGV[i], 0)
end
redis.call('HINCRBY', KEYS[1], 'sold', -released)
return released
