/* step: one step from its start to the proof that nothing of it is left.
 *
 *             stop, deadline            grace over, kill
 *   RUNNING ------------------> GRACE ------------------> KILLING --\
 *      |                          |  ECHILD                  |       \ patience over: survivors
 *      | main child ends          v                          v        \ are recorded, and it
 *      +-------> LINGER ------> gone <---------- ECHILD ------         goes on waiting
 *         (orphans only; then KILLING)
 *
 * 1. `exited` is written when the main child is reaped, `gone` once wait says ECHILD and
 *    the pipes are empty: as a subreaper that is proof that no descendant is left (I5, I9).
 * 2. With nothing due it waits for ever: no polling. The budget is its own: it ends the
 *    step with the agent dead (I8).
 * 3. In a cgroup of its own, nothing is left once that is empty as well: it has `gone` wait for
 *    what others moved into it, and lets an agent that finds no meshrun prove the same. A cgroup
 *    that cannot be had leaves a step on the subreaper alone, unless it was to limit the step.
 * 4. Orphans of a main child that ended by itself may finish within the linger (a `tee`
 *    reading what is still in its pipe), then they are killed. */
#ifndef MESHRUN_STEP_H
#define MESHRUN_STEP_H
#include "host.h"
#include "options.h"

/* Tells whoever asked for the start how it went. */
struct starter {
  int fd; /* -1: nobody */
  int64_t id;
};

/* Returns meshrun's exit status. Expects SIGCHLD, SIGTERM and SIGINT to be blocked. */
int step_run(const struct options *o, const struct host *h, struct starter starter);
#endif
