-- Adds items to carts and freezes carts: a batch of checkouts and purchases of one cart partition.
--
-- Guarantees: idempotent; an item counts once in a cart; a code belongs to one cart for ever; every
-- attempt that is answered is in the attempt stream. From the freeze on the code buys these items and
-- no others: a frozen cart never changes, and the user's next checkout opens a new cart under a new
-- code. Reserves nothing.
--
-- KEYS  1 meta  2 carts (user -> cart)  3 codes (code suffix -> code)  4 attempts
-- ARGV  1 the requests as the attempt stream holds them (empty: no entry is written)
--       2 the number of items to add, then for each of them: user, new code suffix, item index
--       then the code suffixes of the carts to freeze
-- Returns the entry's id, then an answer per item, then per cart {user, items}, or nil for a code that
-- this partition does not hold.

local meta = redis.call('HMGET', KEYS[1], 'ready', 'starts_ms', 'ends_ms', 'closed', 'per_checkout',
  'master')
if meta[1] ~= FORMAT then
  return redis.error_reply(meta[1] and OTHER_FORMAT or UNSEEDED)
end
if meta[6] ~= master_id() and not adopt(KEYS[1], meta[6]) then
  return redis.error_reply(PROMOTED)
end
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local open = not meta[4] and now_ms >= tonumber(meta[2]) and now_ms < tonumber(meta[3])
local per_checkout = tonumber(meta[5])

local function count(items)
  local _, commas = string.gsub(items, ',', '')
  return commas + 1
end

local function add(user, new_suffix, idx)
  if not open then
    return encode_added(NOT_ACTIVE, '', 0)
  end
  local cart = redis.call('HGET', KEYS[2], user)
  if not cart then
    -- A repeated call, whose cart was frozen in between, must not reuse its code.
    local used = redis.call('HGET', KEYS[3], new_suffix)
    if used then
      local _, items = decode_code(used)
      return encode_added(IN_CART, new_suffix, items and count(items) or 0)
    end
    redis.call('HSET', KEYS[2], user, encode_cart(new_suffix, idx))
    redis.call('HSET', KEYS[3], new_suffix, encode_open_code(user))
    return encode_added(ADDED, new_suffix, 1)
  end
  local suffix, items = decode_cart(cart)
  local size = count(items)
  if string.find(',' .. items .. ',', ',' .. idx .. ',', 1, true) then
    return encode_added(IN_CART, suffix, size)
  end
  if size >= per_checkout then
    return encode_added(CART_FULL, suffix, size)
  end
  redis.call('HSET', KEYS[2], user, encode_cart(suffix, items .. ',' .. idx))
  return encode_added(ADDED, suffix, size + 1)
end

local function freeze(wanted)
  local code = redis.call('HGET', KEYS[3], wanted)
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
  if suffix ~= wanted then
    return false
  end
  redis.call('HSET', KEYS[3], suffix, encode_frozen_code(user, items))
  redis.call('HDEL', KEYS[2], user)
  return { user, items }
end

local first_suffix = 3 + 3 * tonumber(ARGV[2])
local answers = {}
for i = 3, first_suffix - 1, 3 do
  answers[#answers + 1] = add(ARGV[i], ARGV[i + 1], ARGV[i + 2])
end
-- Attempts may be dropped where the sale says so (bestEffort) and the backlog is full.
local id = ''
if ARGV[1] ~= '' then
  id = redis.call('XADD', KEYS[4], '*', 'b', ARGV[1], 'o', table.concat(answers, RS))
end
table.insert(answers, 1, id)
for i = first_suffix, #ARGV do
  answers[#answers + 1] = freeze(ARGV[i])
end
return answers
