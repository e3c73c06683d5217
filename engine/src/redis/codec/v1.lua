-- Version 1 of the stored format, as scripts write and read it. It stands before each script that
-- needs it; codec/v1.rs is the same format in Rust, and golden/v1.txt holds an example of each text.
--
-- US separates the fields of a text and RS the texts of a list. No id holds a control character, so
-- nothing needs escaping. Item lists are indexes, comma separated.

-- `ready` of a sale or a cart partition holds the version of its format.
local FORMAT = '1'
local UNSEEDED = 'UNSEEDED expected a sale that Redis holds, found none'
local OTHER_FORMAT = 'FORMAT expected the version of the script, found another'
local US, RS = '\31', '\30'

local ADDED, IN_CART, CART_FULL, NOT_ACTIVE = 'a', 'i', 'f', 'n'
local CLAIMED, REPLAYED = 'c', 'r'

local function encode_cart(suffix, items)
  return suffix .. US .. items
end

local function decode_cart(text)
  return string.match(text, '^([^\31]*)\31(.*)$')
end

local function encode_open_code(user)
  return 'o' .. US .. user
end

local function encode_frozen_code(user, items)
  return 'f' .. US .. user .. US .. items
end

-- The user, and the items of a frozen cart; no items while the cart is open.
local function decode_code(text)
  local user, items = string.match(text, '^f\31([^\31]*)\31(.*)$')
  if user then
    return user, items
  end
  return string.sub(text, 3)
end

local function encode_added(outcome, suffix, count)
  return outcome .. US .. suffix .. US .. count
end

local function encode_sold(idx, user_slot, sale_slot)
  return idx .. ':s:' .. user_slot .. ':' .. sale_slot
end

local function encode_already_sold(idx)
  return idx .. ':a'
end

local function encode_limit_reached(idx)
  return idx .. ':l'
end

local function encode_outcome(user, request_id, at_ms, results)
  return string.format('%s\31%s\31%.0f\31%s', user, request_id, at_ms, table.concat(results, ','))
end

-- The user and the results of an outcome.
local function decode_outcome(text)
  return string.match(text, '^([^\31]*)\31[^\31]*\31[^\31]*\31(.*)$')
end

-- Iterates over the items that results sell: index, user slot, sale slot.
local function sold_items(results)
  return string.gmatch(results, '(%d+):s:(%d+):(%d+)')
end

local function encode_claimed(suffix, outcome)
  return 'c' .. US .. suffix .. US .. outcome
end

local function encode_corrected(suffix, user, bought, sold, released)
  return table.concat({ 'r', suffix, user, bought, sold, released }, US)
end
