/* tree: finding and signalling every descendant of this process (I9).
 *
 * This process is a subreaper, so whatever was started below it stays its descendant,
 * whatever it did: setsid, double fork, env -i, daemon(). A walk may still miss what is
 * being forked or re-parented while it runs; that is why walks loop, and why only
 * ECHILD, never a walk, proves that nothing is left. Needs no fork and no memory. */
#ifndef MESHRUN_TREE_H
#define MESHRUN_TREE_H
#include "pidset.h"

/* Adds every descendant to found (not cleared before). `indirect` reads all of /proc
 * instead of the children files, which some kernels do not have. */
void tree_walk(struct pidset *found, bool indirect);
/* One walk; each descendant gets the signal, then CONT. Returns how many. */
int tree_signal(int signal_number, struct pidset *seen, bool indirect);
/* Freezes until a walk finds nobody new (bounded), then kills all. Returns how many. */
int tree_kill(struct pidset *seen, bool indirect);
/* Whether /proc/self/task/.../children can be read. */
bool tree_has_children_files(void);
#endif
