-- Freezes the cart of a code for its purchase: from now on the code buys these items and no
-- others, and the user's next checkout opens a new cart under a new code.
--
-- Promises: idempotent; a frozen cart never changes.
--
-- KEYS  1 meta  2 carts  3 codes
-- ARGV  1 tail of the code
-- Answers {user, items}, or nil for a code that this partition does not know.

if redis.call('HEXISTS', KEYS[1], 'ready') == 0 then
  return redis.error_reply('UNSEEDED cart partition')
end
local entry = redis.call('HGET', KEYS[3], ARGV[1])
if not entry then
  return false
end
local user, items = string.match(entry, '^f|([^|]*)|(.*)$')
if user then
  return { user, items }
end
user = string.sub(entry, 3)
local cart = redis.call('HGET', KEYS[2], user)
local tail
if cart then
  tail, items = string.match(cart, '^([^|]*)|(.*)$')
end
if tail ~= ARGV[1] then
  return false
end
redis.call('HSET', KEYS[3], tail, 'f|' .. user .. '|' .. items)
redis.call('HDEL', KEYS[2], user)
return { user, items }
