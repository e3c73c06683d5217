-- What every script of a cart partition has between the format and its own text.
--
-- A replica that was promoted, or a server that started again from an old file, may miss the last
-- writes of a partition, and nothing in its keys shows it. So `master` in the partition's meta names
-- the master whose carts are whole; any other one refuses until the carts are restored from the log
-- of attempts. A partition that moved to another master costs the same once.

local PROMOTED = 'PROMOTED expected the master that has all carts, found another'

-- The id of this master: its replication id, which a server draws when it starts and when it becomes
-- a master. Where the user of the connection may not read it, the id of the node, which shows
-- promotions alone. Where the user may read neither, the script fails: carts without a master would be
-- frozen half.
local function master_id()
  local info = redis.pcall('INFO', 'replication')
  if type(info) == 'string' then
    local _, before = string.find(info, 'master_replid:', 1, true)
    if before then
      return string.sub(info, before + 1, before + 40)
    end
  end
  local id = redis.pcall('CLUSTER', 'MYID')
  if type(id) == 'string' then
    return id
  end
  error('expected a Redis user with the permission +info or +cluster|myid, found neither')
end

-- Whether the carts become those of this master: an earlier version seeded without a master in the
-- meta of `key`, and what such a partition holds is taken for whole.
local function adopt(key, master)
  if master then
    return false
  end
  redis.call('HSET', key, 'master', master_id())
  return true
end
