-- Reads the cart of a code without changing it.
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
if not cart then
  return false
end
local suffix, open_items = decode_cart(cart)
if suffix ~= ARGV[1] then
  return false
end
return { user, open_items }
