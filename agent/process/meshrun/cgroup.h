/* cgroup: the step's own cgroup v2, as the kernel's second word on what is left of it (I5, I9).
 *
 *   DIR/step.PID.START   made by the meshrun with that pid and start time, before its child runs;
 *                        a name that no running process answers to is an orphan's
 *
 * The child is born in it, so nothing of the step ever runs outside. One write kills all of it, at
 * once and without a walk; `populated 0` proves that nobody is left, wherever they were moved below
 * it. What a step with the right to do so moves out of it is still a descendant (tree.h). */
#ifndef MESHRUN_CGROUP_H
#define MESHRUN_CGROUP_H
#include <stdbool.h>
#include <stdint.h>

#include "pidset.h"

enum cgroup_state { CGROUP_NONE, CGROUP_EMPTY, CGROUP_POPULATED, CGROUP_UNKNOWN };

struct cgroup {
  int parent_fd, fd;
  int events_fd;       /* becomes readable with EPOLLPRI when `populated` changes; read by cgroup_state */
  bool no_kill;        /* as on a kernel without cgroup.kill */
  char path[512], name[48];
};

/* None yet; nothing to be removed. */
void cgroup_none(struct cgroup *g);
/* Makes it in DIR; 0, or -1 with errno, and none. */
int cgroup_make(struct cgroup *g, const char *dir);
/* Writes a limit, "pids.max=100"; false with errno. */
bool cgroup_set(const struct cgroup *g, const char *assignment);
/* Forks a child that is in it from its first moment; as fork. Without one: just forks. */
pid_t cgroup_fork(const struct cgroup *g);
enum cgroup_state cgroup_state(const struct cgroup *g);
/* Adds who is in it, and in the cgroups that were made below it. */
void cgroup_pids(const struct cgroup *g, struct pidset *into);
/* KILL to all that are in it. False where the kernel cannot do that in one: some may be left. */
bool cgroup_kill(const struct cgroup *g);
/* How many of its processes the kernel has killed for want of memory; -1 where that is not told. */
int64_t cgroup_oom_kills(const struct cgroup *g);
/* Removes it with what was made below; true: there is none any more. */
bool cgroup_remove(struct cgroup *g);
/* Whether its owner has left DIR to others, as systemd marks what it delegates. */
bool cgroup_is_delegated(const char *dir);
/* Makes one in DIR, starts, kills and removes: 0, or what does not work, with errno. */
const char *cgroup_trial(const char *dir);
#endif
