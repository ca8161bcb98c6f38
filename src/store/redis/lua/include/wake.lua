-- Collects whom this script wakes and tells all processes in one message: the process that caused it, the queues that
-- have something to lease (type.listener.count), the events that changed, whether records were archived, whether somebody
-- waits until what was recorded is, and the version of the listeners. The message is also returned, so that the process that caused it need not wait for its
-- own words. Nothing is sent when nothing changed.
--
-- Whoever wakes has counted too, trees and deliveries: that is written with the message.
--
-- Needs head, view, n, META and listenersVersion.
--@include tally
local wakeQueue, wakeEvent, wakeArchived, wakeArchiver, wakeAll, moveInTree, writeTrees
do
  local queuesReady, queuesReadyOrder, eventsChanged, recordsArchived, archiverWanted = {}, {}, {}, '', ''

  function wakeQueue(typeOrdinal, listener)
    local queue = typeOrdinal .. '.' .. listener
    if not queuesReady[queue] then
      queuesReady[queue] = 0
      queuesReadyOrder[#queuesReadyOrder + 1] = queue
    end
    queuesReady[queue] = queuesReady[queue] + 1
  end

  function wakeEvent(id)
    eventsChanged[#eventsChanged + 1] = id
  end

  function wakeArchived()
    recordsArchived = 'archived'
  end

  function wakeArchiver()
    archiverWanted = 'wanted'
  end

  function wakeAll()
    writeTrees()
    writeTallies()
    if #queuesReadyOrder == 0 and #eventsChanged == 0 and recordsArchived == '' and archiverWanted == '' then
      return ''
    end
    local queues = {}
    for _, queue in ipairs(queuesReadyOrder) do
      queues[#queues + 1] = queue .. '.' .. queuesReady[queue]
    end
    local changed = table.concat(eventsChanged, ',')
    local words = { INSTANCE, table.concat(queues, ','), changed, recordsArchived, archiverWanted, listenersVersion }
    local message = table.concat(words, ' ')
    redis.call('PUBLISH', string.gsub(META, 'meta$', 'wake'), message)
    return message
  end
end
--@include tree
