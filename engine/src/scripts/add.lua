-- Puts items into carts: a batch of users of one cart partition.
--
-- Promises: idempotent; an item counts once in a cart; a code belongs to one cart for ever;
-- nothing is answered that is not in the attempts stream. Reserves nothing.
--
-- KEYS  1 meta  2 carts (user -> tail|items)  3 codes (tail -> o|user or f|user|items)
--       4 attempts
-- ARGV  1 the batch as the settler reads it (empty: do not log), then per attempt: user, new tail, item index
-- Answers the entry's id, then per attempt `<outcome>|<tail>|<items in the cart>`:
--   a added, i in the cart already, f cart full, n sale not active

local meta = redis.call('HMGET', KEYS[1], 'ready', 'starts_ms', 'ends_ms', 'closed', 'per_checkout')
if not meta[1] then
  return redis.error_reply('UNSEEDED cart partition')
end
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local open = not meta[4] and now_ms >= tonumber(meta[2]) and now_ms < tonumber(meta[3])
local per_checkout = tonumber(meta[5])

local function count(items)
  local _, commas = string.gsub(items, ',', '')
  return commas + 1
end

local function add(user, new_tail, idx)
  if not open then
    return 'n||0'
  end
  local cart = redis.call('HGET', KEYS[2], user)
  if not cart then
    -- A repeated call, whose cart was frozen in between, must not reuse its code.
    local used = redis.call('HGET', KEYS[3], new_tail)
    if used then
      local items = string.match(used, '^f|[^|]*|(.*)$')
      return 'i|' .. new_tail .. '|' .. (items and count(items) or 0)
    end
    redis.call('HSET', KEYS[2], user, new_tail .. '|' .. idx)
    redis.call('HSET', KEYS[3], new_tail, 'o|' .. user)
    return 'a|' .. new_tail .. '|1'
  end
  local tail, items = string.match(cart, '^([^|]*)|(.*)$')
  local size = count(items)
  if string.find(',' .. items .. ',', ',' .. idx .. ',', 1, true) then
    return 'i|' .. tail .. '|' .. size
  end
  if size >= per_checkout then
    return 'f|' .. tail .. '|' .. size
  end
  redis.call('HSET', KEYS[2], user, cart .. ',' .. idx)
  return 'a|' .. tail .. '|' .. (size + 1)
end

local answers = {}
for i = 2, #ARGV, 3 do
  answers[#answers + 1] = add(ARGV[i], ARGV[i + 1], ARGV[i + 2])
end
-- An empty batch is one that may be dropped (bestEffort, and the backlog is full).
local id = ''
if ARGV[1] ~= '' then
  id = redis.call('XADD', KEYS[4], '*', 'b', ARGV[1], 'o', table.concat(answers, ','))
end
table.insert(answers, 1, id)
return answers
