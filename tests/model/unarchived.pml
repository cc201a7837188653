/* A claim with `ARCHIVE = False`: Redis alone, a lease with a token, and a keeper that prolongs it.
 *
 * Promises: hooks run one at a time and the job is claimed after one of them, unless a process dies or stands still
 * beyond its lease; then one more hook may run for each. Everybody gets a place. Nobody leaves somebody else's lease.
 */

#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef MUTANT
#define MUTANT 0
#endif

#define WITHOUT_TOKEN 1    /* a claim releases whichever lease there is */
#define WITHOUT_KEEPER 2   /* nobody prolongs a lease while the hook runs */
#define LEASE_NEVER_ENDS 3 /* a lease has no timeout */

#define PEOPLE 3
#define stop(who) if :: runs == who -> runs = 0 :: else fi
#define fault faults > 0 -> faults--

byte lease;             /* the token of the lease; 0 none */
bool is_late;           /* leased_until has passed */
bool is_claimed;
byte faults = FAULTS;
byte hooks;             /* hooks that have run to their end */
byte runs;              /* whose hook runs, by a lease that is not late */
byte excuses;           /* hooks that raised, and those whose process died or stood still beyond its lease */
byte placed;
bool is_kept[PEOPLE * 2 + FAULTS * PEOPLE];

init { atomic { run Clock(); run Person(1); run Person(2); run Person(3); run Judge() } }

proctype Clock() {
end_tick:
  do
#if MUTANT == WITHOUT_KEEPER
  :: atomic { lease != 0 && !is_late -> is_late = true }
#elif MUTANT != LEASE_NEVER_ENDS
  :: atomic { lease != 0 && !is_late && !is_kept[lease] -> is_late = true }
#endif
  :: atomic { lease != 0 && !is_late && is_kept[lease] && fault; is_late = true; excuses++; stop(lease) }
  od
}

proctype Person(byte me) {
look:
  atomic {
    if
    :: is_claimed -> goto place
    :: !is_claimed && (lease == 0 || is_late) -> lease = me; is_late = false; is_kept[me] = true;
       assert(runs == 0); runs = me /* one hook at a time */
    fi
  }

  atomic {
    if
    :: fault; stop(me); excuses++; goto died
    :: fault; stop(me); excuses++; goto release /* the hook raises */
    :: stop(me); hooks++
    fi;
    assert(hooks <= 1 + excuses) /* once, for each lease that was not kept */
  }
  atomic { is_claimed = true; goto place } /* a hook that has run is a claim, even if another has the lease by now */

release:
  atomic {
    is_kept[me] = false;
#if MUTANT == WITHOUT_TOKEN
    lease = 0; is_late = false;
#else
    if :: lease == me -> lease = 0; is_late = false :: else fi;
#endif
    goto look
  }

died:
  atomic { is_kept[me] = false; me = me + PEOPLE; goto look }

place:
  atomic { is_kept[me] = false; placed++ }
}

proctype Judge() {
  timeout -> assert(placed == PEOPLE && hooks >= 1)
}
