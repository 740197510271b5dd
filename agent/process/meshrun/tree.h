/* tree: finding and signalling every process of the step (I9).
 *
 * This process is a subreaper, so whatever was started below it stays its descendant,
 * whatever it did: setsid, double fork, env -i, daemon(). A walk may still miss what is
 * being forked or re-parented while it runs; that is why walks loop, and why only
 * ECHILD, never a walk, proves that nothing is left. Who is in the step's cgroup belongs to
 * it too, whoever put it there. Needs no fork and no memory. */
#ifndef MESHRUN_TREE_H
#define MESHRUN_TREE_H
#include "cgroup.h"
#include "pidset.h"

/* Where to look. */
struct scope {
  bool indirect; /* all of /proc instead of the children files, which some kernels do not have */
  struct cgroup cgroup;
};

/* Adds every process of the step to found (not cleared before). */
void tree_walk(struct pidset *found, const struct scope *scope);
/* One walk; each process gets the signal, then CONT. Returns how many. */
int tree_signal(int signal_number, struct pidset *seen, const struct scope *scope);
/* Freezes until a walk finds nobody new (bounded), then kills all. Returns how many. */
int tree_kill(struct pidset *seen, const struct scope *scope);
/* Whether /proc/self/task/.../children can be read. */
bool tree_has_children_files(void);
#endif
