-- Decides which items of a cart its code gets: a batch of frozen carts of one sale.
--
-- Guarantees: an item is claimed once; a user holds at most per_user slots; at most `total`
-- items are claimed; the first outcome of a code stays its outcome; every new outcome is in
-- the event stream, which is the outbox to Postgres.
--
-- KEYS  1 meta  2 sold (bitmap by item index)  3 bought (user -> slots, one 0 or 1 each)
--       4 outcomes (code suffix -> outcome)  5 events  6 free_slots (sale slots that were freed)
-- ARGV  per claim: code suffix, user, request id, items (indexes, comma separated, in cart order)
-- Returns the number of items sold, then an answer per claim.

local meta = redis.call('HMGET', KEYS[1], 'ready', 'starts_ms', 'ends_ms', 'closed',
  'per_user', 'total', 'numbered', 'sold', 'next_slot', 'seq')
if meta[1] ~= FORMAT then
  return redis.error_reply(meta[1] and OTHER_FORMAT or UNSEEDED)
end
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local open = not meta[4] and now_ms >= tonumber(meta[2]) and now_ms < tonumber(meta[3])
local per_user, total = tonumber(meta[5]), tonumber(meta[6])
local numbered = meta[7] == '1'
local sold, next_slot = tonumber(meta[8] or 0), tonumber(meta[9] or 1)

local function sale_slot()
  if not numbered then
    return 0
  end
  local freed = redis.call('LPOP', KEYS[6])
  if freed then
    return freed
  end
  next_slot = next_slot + 1
  return next_slot - 1
end

local function claim(user, request_id, items)
  local slots = redis.call('HGET', KEYS[3], user) or ''
  local results, changed = {}, false
  for idx in string.gmatch(items, '%d+') do
    local user_slot = string.find(slots, '0', 1, true) or (#slots + 1)
    local is_full = user_slot > per_user or sold >= total
    -- SETBIT returns the bit from before: it asks and claims at once.
    local bit = is_full and redis.call('GETBIT', KEYS[2], idx) or redis.call('SETBIT', KEYS[2], idx, 1)
    if bit == 1 then
      results[#results + 1] = encode_already_sold(idx)
    elseif is_full then
      results[#results + 1] = encode_limit_reached(idx)
    else
      slots = string.sub(slots, 1, user_slot - 1) .. '1' .. string.sub(slots, user_slot + 1)
      sold = sold + 1
      changed = true
      results[#results + 1] = encode_sold(idx, user_slot, sale_slot())
    end
  end
  if changed then
    redis.call('HSET', KEYS[3], user, slots)
  end
  return encode_outcome(user, request_id, now_ms, results)
end

local answers, events = {}, {}
for i = 1, #ARGV, 4 do
  local suffix = ARGV[i]
  local known = redis.call('HGET', KEYS[4], suffix)
  if known then
    answers[#answers + 1] = REPLAYED .. US .. known
  elseif not open then
    answers[#answers + 1] = NOT_ACTIVE
  else
    local outcome = claim(ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
    redis.call('HSET', KEYS[4], suffix, outcome)
    events[#events + 1] = encode_claimed(suffix, outcome)
    answers[#answers + 1] = CLAIMED .. US .. outcome
  end
end
if #events > 0 then
  local seq = tonumber(meta[10] or 0) + 1
  local id = redis.call('XADD', KEYS[5], '*', 'n', seq, 'e', table.concat(events, RS))
  redis.call('HSET', KEYS[1], 'sold', sold, 'next_slot', next_slot, 'seq', seq, 'last_id', id)
end
table.insert(answers, 1, sold)
return answers
