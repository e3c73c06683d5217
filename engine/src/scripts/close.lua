-- Stops a sale, or one of its cart partitions, for good: after this nothing is claimed.
--
-- Promises: idempotent.
--
-- KEYS  1 meta
-- Answers the number of items sold, -1 where Redis does not know the sale.

if redis.call('HEXISTS', KEYS[1], 'ready') == 0 then
  return -1
end
redis.call('HSET', KEYS[1], 'closed', 1)
return tonumber(redis.call('HGET', KEYS[1], 'sold') or 0)
