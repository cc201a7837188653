/* Who may claim a job, and when: a worker, its heart, a settler, two people and the clock, around one job.
 *
 * One `atomic` is one Redis script or one database statement. Between two of them anything may happen.
 * Faults share one budget, FAULTS: the search tries every way to spend it, at every moment.
 *
 *   Redis is emptied, or one command does not reach it
 *   the database refuses one statement, or the answer to a commit is lost
 *   a person's server process dies, or stands still beyond its lease
 *   the worker dies, or stands still beyond the deadline; the hook raises
 *
 * Promises, as assertions and as the verdict of `Judge` when nothing can move any more:
 *   a hook runs at most once, of the archived outcome, and never for a job that has not ended;
 *   every person gets a place, as long as Redis or the archive has the job;
 *   Redis and the archive agree on an outcome that has been claimed.
 *
 * MUTANT removes one rule of the design. Each must be found, or the promise that it breaks says nothing.
 */

#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef MUTANT
#define MUTANT 0
#endif

#define WITHOUT_FENCE          1 /* a worker revives a lost job without a word to the database */
#define RESTORE_WITHOUT_FENCE  2 /* a worker restores what Redis has lost without a word to the database */
#define WITHOUT_CHECK          3 /* a claim of `lost` does not ask Redis again once the row is locked */
#define WITHOUT_TOKEN          4 /* a claim releases and uses whichever lease there is */
#define ERROR_IS_A_LEASE       5 /* a lease that was refused is taken for ours */
#define LOST_WITHOUT_REDIS     6 /* `lost` is claimed while Redis is away */
#define ANY_END_IS_OVERWRITTEN 7 /* a newer record overwrites whatever unclaimed row there is */
#define LOST_IS_KEPT           8 /* an archived `lost` is never overwritten */
#define LEASE_IS_A_CLAIM       9 /* a worker takes a lease for a claim and gives its outcome up */
#define LEASE_NEVER_ENDS      10 /* a lease has no timeout */
#define CLAIM_NEVER_STORES    11 /* a claim does not archive an outcome that the archive lacks */
#define CLAIM_NEVER_ADOPTS    12 /* a claim does not take the archive's outcome for the truth */
#define CLAIM_BEFORE_HOOK     13 /* the claim is not in one transaction with the hook */
#define CLAIM_IGNORES_ENDED   14 /* a claim does not compare when the job ended */

#define NONE 0
#define RUNNING 1
#define LOST 2
#define DONE 3 /* an end that the worker wrote: complete or failed */

#define is_ended(state) (state >= LOST)
#define is_leased (redis.lease != 0 && !redis.is_late)

typedef Redis {
  byte state;       /* NONE: there is no record */
  byte version;
  byte ended;       /* ended_at: the version at which it ended */
  byte lease;       /* the token of the lease; 0 none */
  bool is_late;     /* leased_until has passed */
  bool is_overdue;  /* the deadline has passed */
  bool is_claimed;
}

typedef Row {
  byte state;       /* NONE: there is no row */
  byte version;
  byte ended;
  byte lock;        /* who has an open transaction on the row */
  bool is_claimed;
}

Redis redis;
Row row;
byte now = 1;            /* Redis's clock, which versions come from */
byte faults = FAULTS;
bool was_emptied;        /* Redis, at least once */
bool was_done;           /* the worker's end has been taken */
byte hooks;              /* committed runs of the hook */
byte placed;             /* people who got a place */
bool is_at_work = true;  /* the worker has the job in hand */
bool is_kept[3 + 2 * FAULTS];        /* which leases have a keeper that prolongs them */

/* More writes than that are a loop that never ends. */
#define ENOUGH 40
#define fault faults > 0 -> faults--
#define tick  assert(now < ENOUGH); now++; redis.version = now
#define free_lease redis.lease = 0; redis.is_late = false

/* Write a whole record into Redis. */
#define write_redis(s, e) \
  redis.state = s; redis.ended = e; free_lease; redis.is_overdue = false; redis.is_claimed = false; tick

/* JobRecord.objects.store(): the first end wins; only an unclaimed, older `lost` is overwritten. */
#if MUTANT == ANY_END_IS_OVERWRITTEN
#define may_overwrite(v) (!row.is_claimed && row.version < v)
#elif MUTANT == LOST_IS_KEPT
#define may_overwrite(v) false
#else
#define may_overwrite(v) (row.state == LOST && !row.is_claimed && row.version < v)
#endif
#define store(s, e, v) \
  if \
  :: row.state == NONE || may_overwrite(v) -> row.state = s; row.ended = e; row.version = v \
  :: else \
  fi

/* Copy the archive's claim to Redis: the database is the truth. */
#define copy_claim \
  if \
  :: redis.state != NONE -> write_redis(row.state, row.ended); redis.is_claimed = true \
  :: else \
  fi

init {
  d_step { redis.state = RUNNING; redis.version = 1 }
  atomic { run Worker(); run Heart(); run Settler(); run Clock(); run Person(1); run Person(2); run Judge() }
}

proctype Worker() {
  byte known = 1, read, ended, wanted;
  bool has_progressed, is_archived;

work:
  if
  :: !has_progressed -> has_progressed = true; wanted = RUNNING
  :: wanted = DONE
  :: atomic { fault; goto dead }
  fi;

verb:
  atomic {
    if
    :: fault; if :: wanted == RUNNING -> goto work :: wanted == DONE && !is_archived -> goto away :: else -> goto verb fi
    :: redis.state == NONE || redis.version < known -> read = redis.version; goto restore
    :: redis.version >= known && redis.state == RUNNING && redis.is_overdue -> read = redis.version; goto settle
    :: redis.version >= known && redis.state == RUNNING && !redis.is_overdue -> goto write
    :: redis.version >= known && redis.state == LOST && redis.is_claimed -> goto refused
#if MUTANT == LEASE_IS_A_CLAIM
    :: redis.version >= known && redis.state == LOST && is_leased -> goto refused
#endif
    :: redis.version >= known && redis.state == LOST && !redis.is_claimed && !is_leased ->
       read = redis.version; ended = redis.ended; goto fence
    :: redis.version >= known && redis.state == DONE -> goto refused
    fi
  }

write:
  atomic {
    if
    :: redis.state == RUNNING && !redis.is_overdue && redis.version >= known ->
       if
       :: wanted == DONE -> write_redis(DONE, now + 1); ended = now; was_done = true
       :: else -> tick
       fi;
       known = now
    :: else -> goto verb
    fi
  }
  if
  :: wanted == RUNNING -> goto work
  :: else -> goto archive
  fi;

settle: /* its own job has become overdue: like any reader */
  atomic {
    if
    :: redis.version == read && redis.state == RUNNING && redis.is_overdue -> write_redis(LOST, now + 1); known = now
    :: else -> goto verb
    fi
  }
  atomic {
    if
    :: row.lock == 0 -> store(LOST, known, known)
    :: fault
    fi;
    goto verb
  }

fence: /* before a write that leaves `lost`: wait for a claim that is under way in the database */
#if MUTANT != WITHOUT_FENCE
  atomic {
    if
    :: fault; goto verb /* the database is away: as if the store were */
    :: row.lock == 0 && row.is_claimed -> goto told
    :: row.lock == 0 && !row.is_claimed && row.state == DONE -> goto adopt /* our own end, archived while Redis was away */
    :: row.lock == 0 && !row.is_claimed && row.state != DONE
    fi
  }
#endif
  atomic {
    if
    :: redis.version == read && redis.state == LOST ->
       if
       :: wanted == DONE -> write_redis(DONE, now + 1); ended = now; was_done = true
       :: else -> write_redis(RUNNING, 0)
       fi;
       known = now
    :: else -> goto verb
    fi
  }
  if
  :: wanted == RUNNING -> goto work
  :: else -> goto archive
  fi;

restore: /* Redis has lost the job, or knows less of it: wait for a claim, as before */
  atomic {
    if
    :: fault; goto verb
#if MUTANT == RESTORE_WITHOUT_FENCE
    :: row.state == NONE || row.version <= known
#endif
    :: row.lock == 0 && row.is_claimed -> goto told
    :: row.lock == 0 && !row.is_claimed && row.state != NONE && row.version > known -> goto adopt
    :: row.lock == 0 && !row.is_claimed && (row.state == NONE || row.version <= known)
    fi
  }
  atomic {
    if
    :: redis.version == read -> write_redis(RUNNING, 0); known = now
    :: else
    fi;
    goto verb
  }

adopt: /* the archive's end is newer than what we know */
  atomic {
    if
    :: redis.version == read -> write_redis(row.state, row.ended); known = now; redis.is_claimed = row.is_claimed
    :: else
    fi;
    goto verb
  }

away: /* Redis does not answer: archive the end at once, and write it later */
  atomic {
    if
    :: fault; goto verb
    :: row.lock == 0 -> now++; store(DONE, now, now); is_archived = true; was_done = was_done || row.state == DONE; goto verb
    fi
  }

archive:
  atomic {
    if
    :: fault; goto dead
    :: row.lock == 0 -> store(DONE, ended, known); if :: row.is_claimed && row.state != DONE -> goto told :: else -> goto refused fi
    fi
  }

told: /* the archive has been claimed with another outcome */
  atomic {
    copy_claim;
    goto refused
  }

refused:
  assert(was_done || redis.is_claimed || row.is_claimed);    /* its outcome is refused only after a claim */
dead:
  is_at_work = false
}

proctype Heart() { /* the worker's parent: its beat puts the deadline off, and restores what Redis has lost */
  byte known = 1, state, ended;

end_beat:
  do
  :: atomic { is_at_work && redis.state == RUNNING && known < redis.version -> known = redis.version }
  :: atomic { is_at_work && redis.state == RUNNING && redis.is_overdue -> redis.is_overdue = false }
  :: atomic { is_at_work && redis.state == NONE ->
       if
       :: row.lock == 0 && row.state != NONE && row.version > known -> state = row.state; ended = row.ended
#if MUTANT == RESTORE_WITHOUT_FENCE
       :: row.state == NONE || row.version <= known -> state = RUNNING
#endif
       :: row.lock == 0 && (row.state == NONE || row.version <= known) -> state = RUNNING; ended = 0
       fi }
     atomic {
       if
       :: redis.state == NONE && state == RUNNING -> redis.state = RUNNING; redis.version = known
       :: redis.state == NONE && state != RUNNING -> write_redis(state, ended); known = now
       :: else
       fi;
       state = 0; ended = 0
     }
  od
}

proctype Settler() { /* any reader: a running job whose deadline has passed is lost; it archives that some time later */
  byte state, ended, version;

end_read:
  do
  :: atomic { redis.state == RUNNING && redis.is_overdue ->
       version = redis.version;
       if
       :: row.state != NONE && row.version > version -> state = row.state; ended = row.ended
       :: else -> state = LOST; ended = 0
       fi }
     atomic {
       if
       :: redis.version == version && redis.state == RUNNING && redis.is_overdue ->
          write_redis(state, (ended -> ended : now + 1)); ended = redis.ended; version = redis.version
       :: else -> state = 0; ended = 0; version = 0; goto end_read
       fi }
     atomic {
       if
       :: row.lock == 0 -> store(state, ended, version)
       :: fault
       fi;
       state = 0; ended = 0; version = 0
     }
  od
}

proctype Clock() {
end_tick:
  do
  :: atomic { redis.state == RUNNING && !redis.is_overdue && !is_at_work -> redis.is_overdue = true }
  :: atomic { redis.state == RUNNING && !redis.is_overdue && is_at_work && fault; redis.is_overdue = true }
#if MUTANT != LEASE_NEVER_ENDS
  :: atomic { is_leased && !is_kept[redis.lease] -> redis.is_late = true }
#endif
  :: atomic { is_leased && is_kept[redis.lease] && fault; redis.is_late = true }
  :: atomic { redis.state != NONE && fault;
       was_emptied = true;
       redis.state = NONE; redis.version = 0; redis.ended = 0; free_lease; redis.is_overdue = false;
       redis.is_claimed = false }
  od
}

#if MUTANT == CLAIM_IGNORES_ENDED
#define is_same(it) (it.state == state)
#else
#define is_same(it) (it.state == state && it.ended == ended)
#endif

proctype Person(byte me) { /* posts until there is a place; `me` is the token of the lease */
  byte state, ended, version;

end_look: /* 409: waits until the page says that the job has ended */
  atomic {
    if
    :: is_ended(redis.state) && redis.is_claimed -> goto place
    :: is_ended(redis.state) && !redis.is_claimed -> state = redis.state; ended = redis.ended; version = redis.version
    :: (redis.state == NONE || (redis.state == RUNNING && row.version > redis.version)) && row.is_claimed -> goto place
    :: (redis.state == NONE || (redis.state == RUNNING && row.version > redis.version)) && row.state != NONE && !row.is_claimed ->
       state = row.state; ended = row.ended; version = row.version
    fi
  }

lease:
  atomic {
    if
    :: fault; /* Redis is away */
       if
#if MUTANT != LOST_WITHOUT_REDIS
       :: state == LOST -> goto again
#endif
       :: else -> goto claim
       fi
    :: redis.state == NONE -> write_redis(state, ended); goto lease
#if MUTANT == ERROR_IS_A_LEASE
    :: redis.state == RUNNING -> goto claim
#else
    :: redis.state == RUNNING -> goto again
#endif
    :: redis.is_claimed -> goto place
    :: is_ended(redis.state) && !redis.is_claimed && !is_leased ->
       state = redis.state; ended = redis.ended; tick; version = now; redis.lease = me; redis.is_late = false;
       is_kept[me] = true
    fi
  }

claim:
  atomic {
    if
    :: fault; goto release /* busy, or away */
    :: fault; goto died
    :: redis.lease == me && redis.is_late -> redis.is_late = false; tick; goto claim /* the keeper, when it goes on */
    :: row.lock == 0 && is_same(row) && !row.is_claimed -> row.lock = me
    :: row.lock == 0 && !(is_same(row) && !row.is_claimed) -> goto missed
    fi;
#if MUTANT == CLAIM_BEFORE_HOOK
    row.lock = 0;
#endif
    if :: state == DONE -> goto hook :: else fi
  }

check: /* `lost` is a guess: with the row locked, ask Redis once more before the hook */
#if MUTANT != WITHOUT_CHECK
  atomic {
    if
    :: fault; row.lock = 0; goto release
#if MUTANT == WITHOUT_TOKEN
    :: redis.lease != 0 -> redis.is_late = false; tick; version = now
    :: redis.lease == 0 -> row.lock = 0; goto again
#elif MUTANT == ERROR_IS_A_LEASE || MUTANT == LOST_WITHOUT_REDIS
    :: true
#else
    :: redis.lease == me -> redis.is_late = false; tick; version = now
    :: redis.lease != me -> row.lock = 0; goto again
#endif
    fi
  }
#endif

hook:
  atomic {
    if
    :: fault; row.lock = 0; goto died
    :: fault; row.lock = 0; goto release /* the hook raises */
    :: fault; goto commit; /* and its answer is lost */
    :: true
    fi
  }
commit:
  atomic {
    assert(!row.is_claimed && hooks == 0);                   /* at most once */
    assert(row.state == state && row.ended == ended);        /* of the archived outcome */
    assert(is_ended(state));
    assert(state == DONE || redis.state != RUNNING);         /* never for a job that has not ended */
    assert(state == DONE || !was_done || was_emptied);       /* `lost` never replaces what the worker has written */
    hooks++; row.is_claimed = true; row.lock = 0
  }

mark:
  atomic {
    if
    :: fault; goto died
    :: fault /* Redis is away */
    :: is_ended(redis.state) && redis.state == state && redis.ended == ended ->
       redis.is_claimed = true; free_lease; tick
    :: !(redis.state == state && redis.ended == ended)
    fi;
    goto place
  }

missed: /* no row was ours to claim */
  atomic {
    if
    :: row.is_claimed -> copy_claim; goto place
#if MUTANT == CLAIM_NEVER_STORES
    :: !row.is_claimed && (row.state == NONE || may_overwrite(version)) -> goto release
#else
    :: !row.is_claimed && row.lock == 0 && (row.state == NONE || may_overwrite(version)) ->
       store(state, ended, version); goto claim
#endif
#if MUTANT == CLAIM_NEVER_ADOPTS
    :: !row.is_claimed && !(row.state == NONE || may_overwrite(version)) -> goto release
#else
    :: !row.is_claimed && !(row.state == NONE || may_overwrite(version)) ->
       if
       :: redis.lease == me && redis.version == version -> write_redis(row.state, row.ended)
       :: else
       fi;
       goto release
#endif
    fi
  }

release:
  atomic {
    if
    :: fault /* Redis is away */
#if MUTANT == WITHOUT_TOKEN
    :: redis.lease != 0 -> free_lease; tick
    :: redis.lease == 0
#else
    :: redis.lease == me -> free_lease; tick
    :: redis.lease != me
#endif
    fi;
    goto again
  }

died: /* the page posts again, to another process */
  atomic { is_kept[me] = false; me = me + 2 }

again: /* 503 or 409: the page tries again by itself */
  atomic { is_kept[me] = false; state = 0; ended = 0; version = 0 }
  goto end_look;

place:
  atomic { is_kept[me] = false; placed++ }
}

proctype Judge() {
  timeout ->
  assert(redis.state != RUNNING);
  assert(placed == 2 || (redis.state == NONE && row.state == NONE));
  assert(!row.is_claimed || was_emptied || redis.state == NONE || redis.state == row.state)
}

/* Everybody's wait ends, if every process that can move does so in the end (`pan -a -f`). */
#define nowhere (!is_at_work && redis.state == NONE && row.state == NONE)
ltl everybody_gets_a_place { <> (placed == 2 || nowhere) }
