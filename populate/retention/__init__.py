"""How long contents are kept: rules, holds, quarantine, sweep.

Everything is kept unless a rule says otherwise. What may go is marked, stays in quarantine for a set time, is
judged once more, and only then leaves the store. These invariants hold whatever happens at the same time, and
wherever any of it is killed; tests race and kill for each:

1. *Nothing that is referenced is swept.* A content stays if any reason is found (`populate.retention.references`):
   a version of a file that no rule covers or that some rule keeps, a version of a file set that contains it and is
   kept, a legal hold, an output that names it, a delivery that is not ingested, a backup or an adoption that is not
   done. What is not known counts as a reason: a content without any file, a version of which nobody knows when it
   was met.
2. *It is judged behind the gate of the store* (`populate.backup.removal`), in the transaction that takes its place
   away: whatever was recorded before is seen, and whoever records later sees that it went, and stores it again.
3. *The most generous rule decides, and a hold overrides all rules*, also in the middle of a quarantine.
4. *Nothing is swept that was not marked for the whole of the quarantine*; a reason in between ends it, and the
   next mark begins anew.
5. *An object goes after its rows went, never before*, but for a content that is erased. So a place always leads to
   bytes, and what is left over by whoever was killed is an object without rows: the next round finds it.
6. *Objects without rows go too, after a quarantine of their own*, unless something that is wanted has its only
   whole bytes there: then rows lead to it. So it is with what else is in a pack that goes. A store of which the
   catalogue knows too little is left alone: then the catalogue was lost, restored from an old copy, or is not the
   only one of that store.
7. *Nothing is removed while a store knows of a decision that the catalogue does not* (`populate.retention.noting`):
   holds and rules are noted down in the stores, so a database that was restored from an old dump forgets none.
8. *All of it can be broken off and done again.*
"""
