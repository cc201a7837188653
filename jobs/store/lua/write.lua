-- Make one transition of one job: check, write, set the version and the time to live, publish. All or nothing.
--
-- KEYS[1] the job's hash
-- KEYS[2] the job's unique key, if it has one: a string with the id of the job that holds it
-- ARGV    1 the version that the writer has read; "" creates the job
--         2 the writer's mark of this write; "" if doing the write twice does no harm
--         3 "1" if the job must be past its deadline, "0" if it must not be
--         4 time to live in seconds
--         5 microseconds until the new deadline; "" keeps the deadline, "0" removes it
--         6 the field to set to the time of this write; "" for none
--         7 "1" to write the version in 8 as it is, "0" to give a new one
--         8 the last version that the writer knows of
--         9 what to do with KEYS[2]: "take" it, and write nothing while another job holds it;
--           "hold" it if it is free; "free" it; "" if there is none
--         10 a job that is known to have ended, which "take" may replace; "" for none
--         11, 12, 13 the numbers of fields, of deleted fields, and of channels
--         then field, value, …; deleted fields; channels; and the payload to publish in up to four pieces.
--         Between them belong the version, the version once more, and the time of this write as text.
-- Answer  {1, version}
--         {0, now, the hash} if somebody else has written since, or the deadline is not as in 3
--         {2, id} if another job holds KEYS[2]

local MAX_VERSION = 9000000000000000 -- as in core/record.py
local MAX_MARKS = 640 -- characters, for about 16 marked writes
-- seconds: 30 days, as ALL_TTL in indexes.py. A heartbeat does not prolong the hold, only a write does.
local LONGEST_HOLD = 2592000
local UNPACKED = 2000 -- arguments at a time; Lua's stack holds about 8,000

local function iso(us)
  local seconds = math.floor(us / 1000000)
  local days = math.floor(seconds / 86400)
  local rest = seconds - days * 86400
  -- civil date from days since 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms")
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local day = doy - math.floor((153 * mp + 2) / 5) + 1
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%06d+00:00', year, month, day,
    math.floor(rest / 3600), math.floor(rest / 60) % 60, rest % 60, us - seconds * 1000000)
end

local function read_version(text, key)
  if text and text:match('^%d+$') and tonumber(text) <= MAX_VERSION then
    return text
  end
  return redis.call('EXISTS', key) == 1 and '0' or '' -- damaged, which counts as version 0, or missing
end

local key = KEYS[1]
local read, mark, must_be_overdue, ttl, delay, stamp, keeps_version, last, unique, ended, fields, deleted, channels =
  unpack(ARGV, 1, 13)
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local stored = redis.call('HMGET', key, 'version', 'deadline', 'marks')
local deadline = tonumber(stored[2] or '0') or 0
local overdue = deadline > 0 and now >= deadline and '1' or '0'
local known = read_version(stored[1], key)
if known ~= read or overdue ~= must_be_overdue then
  return {0, string.format('%.0f', now), redis.call('HGETALL', key)}
end

local own, holder
if unique ~= '' then
  own, holder = key:match('{(.*)}$'), redis.call('GET', KEYS[2])
  if unique == 'take' and holder and holder ~= own and holder ~= ended then
    return {2, holder}
  end
end

local version = last
if keeps_version ~= '1' then
  version = string.format('%.0f', math.max(now, (tonumber(known) or 0) + 1, tonumber(last) + 1))
end
local set = {'version', version}
if mark ~= '' then
  local marks = mark .. ':' .. version .. ' ' .. (stored[3] or '')
  set[#set + 1] = 'marks'
  set[#set + 1] = #marks > MAX_MARKS and marks:sub(1, MAX_MARKS):match('^.* ') or marks
end
if delay ~= '' then
  deadline = delay == '0' and 0 or now + tonumber(delay)
  set[#set + 1] = 'deadline'
  set[#set + 1] = string.format('%.0f', deadline)
end
if stamp ~= '' then
  set[#set + 1] = stamp
  set[#set + 1] = version
end
local at = 14
for field = at, at + 2 * fields - 1 do
  set[#set + 1] = ARGV[field]
end
for from = 1, #set, UNPACKED do
  redis.call('HSET', key, unpack(set, from, math.min(from + UNPACKED - 1, #set)))
end
at = at + 2 * fields
for from = at, at + deleted - 1, UNPACKED do
  redis.call('HDEL', key, unpack(ARGV, from, math.min(from + UNPACKED, at + deleted) - 1))
end
at = at + deleted
-- a job that waits for its deadline must live at least until then
ttl = tonumber(ttl) + math.max(0, math.ceil((deadline - now) / 1000000))
redis.call('EXPIRE', key, ttl)
if unique == 'free' then
  if holder == own then
    redis.call('DEL', KEYS[2])
  end
elseif unique == 'take' or unique == 'hold' and (not holder or holder == own) then
  redis.call('SET', KEYS[2], own, 'EX', math.max(LONGEST_HOLD, ttl))
end
local first = at + channels
if first > at then
  local payload, pieces = ARGV[first], #ARGV - first
  if pieces >= 2 then
    payload = payload .. version .. ARGV[first + 1] .. version .. ARGV[first + 2]
  end
  if pieces == 3 then
    payload = payload .. iso(tonumber(version)) .. ARGV[first + 3]
  end
  for channel = at, first - 1 do
    redis.call('PUBLISH', ARGV[channel], payload)
  end
end
return {1, version}
