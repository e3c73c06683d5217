-- Makes a sale, or one of its cart partitions, ready: the last step of seeding, so that a
-- crash before it leaves something that refuses, not something half known.
--
-- Guarantees: repeatable; after a new epoch every sale view takes a new snapshot.
--
-- KEYS  1 meta
-- ARGV  1 epoch  2 version of the format  3 `unchecked` for a cart partition that refuses until its
--       carts are restored, else empty, then field, value pairs of the window and the limits

if ARGV[3] == 'unchecked' then
  -- Where the carts have been restored meanwhile they stay whole.
  redis.call('HSETNX', KEYS[1], 'master', '')
end
for i = 4, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'ready', ARGV[2])
return 1
