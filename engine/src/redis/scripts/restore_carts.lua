-- Restores carts of one partition that Redis lost, whole or a part: a batch.
--
-- Guarantees: idempotent; a frozen cart never changes; no item that Redis holds is dropped; a user
-- has one open cart, the latest.
--
-- KEYS  1 meta  2 carts  3 codes
-- ARGV  per cart: code suffix, user, items, and what the cart is:
--       `o` the user's latest: it is open, and what else the user has open is frozen
--       `e` an earlier one: it is frozen, with what Redis holds of it and these items
--       `d` one whose outcome is decided: it is frozen with exactly these items
-- Returns how many carts changed.

local ready = redis.call('HGET', KEYS[1], 'ready')
if ready ~= FORMAT then
  return redis.error_reply(ready and OTHER_FORMAT or UNSEEDED)
end

-- The items of `first`, and behind them those of `more` that are not among them.
local function union(first, more)
  local all, seen = first, ',' .. first .. ','
  for idx in string.gmatch(more, '%d+') do
    if not string.find(seen, ',' .. idx .. ',', 1, true) then
      all = all .. ',' .. idx
      seen = seen .. idx .. ','
    end
  end
  return all
end

local function freeze(suffix, user, items)
  redis.call('HSET', KEYS[3], suffix, encode_frozen_code(user, items))
end

local function restore(suffix, user, items, kind)
  local code = redis.call('HGET', KEYS[3], suffix)
  if code then
    local _, frozen_items = decode_code(code)
    if frozen_items then
      return 0
    end
  end
  local open_suffix, open_items
  local cart = redis.call('HGET', KEYS[2], user)
  if cart then
    open_suffix, open_items = decode_cart(cart)
  end
  local is_open = open_suffix == suffix
  if is_open and kind ~= 'd' then
    items = union(open_items, items)
  end
  if kind ~= 'o' then
    freeze(suffix, user, items)
    if is_open then
      redis.call('HDEL', KEYS[2], user)
    end
    return 1
  end
  if is_open and items == open_items then
    return 0
  end
  if cart and not is_open then
    freeze(open_suffix, user, open_items)
  end
  redis.call('HSET', KEYS[2], user, encode_cart(suffix, items))
  redis.call('HSET', KEYS[3], suffix, encode_open_code(user))
  return 1
end

local restored = 0
for i = 1, #ARGV, 4 do
  restored = restored + restore(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
end
return restored
