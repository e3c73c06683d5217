-- Freezes the cart of a code for its purchase: from now on the code buys these items and no
-- others, and the user's next checkout opens a new cart under a new code.
--
-- Guarantees: idempotent; a frozen cart never changes.
--
-- KEYS  1 meta  2 carts  3 codes
-- ARGV  1 code suffix
-- Returns {user, items}, or nil for a code that this partition does not hold.

local meta = redis.call('HMGET', KEYS[1], 'ready', 'master')
if meta[1] ~= FORMAT then
  return redis.error_reply(meta[1] and OTHER_FORMAT or UNSEEDED)
end
if meta[2] ~= master_id() and not adopt(KEYS[1], meta[2]) then
  return redis.error_reply(PROMOTED)
end
local code = redis.call('HGET', KEYS[3], ARGV[1])
if not code then
  return false
end
local user, items = decode_code(code)
if items then
  return { user, items }
end
local cart = redis.call('HGET', KEYS[2], user)
local suffix
if cart then
  suffix, items = decode_cart(cart)
end
if suffix ~= ARGV[1] then
  return false
end
redis.call('HSET', KEYS[3], suffix, encode_frozen_code(user, items))
redis.call('HDEL', KEYS[2], user)
return { user, items }
