-- What a script sees of Redis, and how its errors become replies.
--
-- Returns a function that runs a compiled script: run(script, backend, keys, argv). `backend` runs
-- one command and returns its reply; an error reply is a table with the field `err`.

local backend
local pcall, type, error, tostring, rawset = pcall, type, error, tostring, rawset
local sha1hex = ...

redis = {}

function redis.call(...)
  local reply = backend(...)
  if type(reply) == 'table' and reply.err then
    error(reply, 0)
  end
  return reply
end

function redis.pcall(...)
  return backend(...)
end

-- The first word of an error is its code, unless it is the only word.
function redis.error_reply(text)
  if string.sub(text, 1, 1) == '-' then
    text = string.sub(text, 2)
  end
  if not string.find(text, ' ', 1, true) then
    text = 'ERR ' .. text
  end
  return { err = text }
end

function redis.status_reply(text)
  return { ok = text }
end

redis.sha1hex = sha1hex

-- A script that catches an error itself sees its text.
local function with_text(done, ...)
  local reply = ...
  if not done and type(reply) == 'table' and reply.err then
    return done, reply.err
  end
  return done, ...
end

function _G.pcall(...)
  return with_text(pcall(...))
end

-- Scripts have no files, no code from elsewhere and no randomness.
dofile, loadfile, load, loadstring, require, module, print = nil
math.random, math.randomseed = nil

setmetatable(_G, {
  __newindex = function(_, name)
    error('Attempt to modify a readonly table: global ' .. tostring(name), 2)
  end,
  __index = function(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
  end,
})

return function(script, run_command, keys, argv)
  backend = run_command
  rawset(_G, 'KEYS', keys)
  rawset(_G, 'ARGV', argv)
  local done, reply = pcall(script)
  backend = nil
  if done then
    return reply
  end
  if type(reply) == 'table' and reply.err then
    return { err = reply.err }
  end
  return { err = 'ERR ' .. tostring(reply) }
end
