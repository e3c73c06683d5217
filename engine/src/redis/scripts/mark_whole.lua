-- Marks a cart partition, or a sale's slot, as whole on the master that has all that was restored.
--
-- Guarantees: idempotent; another master than the one in ARGV marks nothing, because it may miss a
-- part of it.
--
-- KEYS  1 meta
-- ARGV  1 id of the master that got what was restored
-- Returns 1 where it is whole now, else 0.

local ready = redis.call('HGET', KEYS[1], 'ready')
if ready ~= FORMAT then
  return redis.error_reply(ready and OTHER_FORMAT or UNSEEDED)
end
if master_id() ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'master', ARGV[1])
return 1
