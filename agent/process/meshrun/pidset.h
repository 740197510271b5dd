/* pidset: a bounded set of pids that is also a list in order of insertion. Adding
 * and asking are O(1); clearing costs what was added. No allocation. */
#ifndef MESHRUN_PIDSET_H
#define MESHRUN_PIDSET_H
#include <stdbool.h>
#include <sys/types.h>

enum { PIDSET_MAX = 1 << 16, PIDSET_SLOTS = 1 << 17 };

struct pidset {
  int count;
  pid_t list[PIDSET_MAX];
  pid_t slots[PIDSET_SLOTS];
};

/* True if the pid was not there yet and there was room. */
bool pidset_add(struct pidset *s, pid_t pid);
bool pidset_has(const struct pidset *s, pid_t pid);
void pidset_clear(struct pidset *s);
#endif
