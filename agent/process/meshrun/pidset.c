#include "pidset.h"

static unsigned slot_of(pid_t pid) { return ((unsigned)pid * 2654435761u) >> 15; }

bool pidset_has(const struct pidset *s, pid_t pid) {
  for (unsigned i = slot_of(pid);; i++) {
    pid_t at = s->slots[i % PIDSET_SLOTS];
    if (at == pid) return true;
    if (at == 0) return false;
  }
}

bool pidset_add(struct pidset *s, pid_t pid) {
  if (pid <= 0 || s->count == PIDSET_MAX) return false;
  unsigned i = slot_of(pid);
  for (; s->slots[i % PIDSET_SLOTS] != 0; i++)
    if (s->slots[i % PIDSET_SLOTS] == pid) return false;
  s->slots[i % PIDSET_SLOTS] = pid;
  s->list[s->count++] = pid;
  return true;
}

void pidset_clear(struct pidset *s) {
  /* Linear probing only ever filled slots up to the next empty one after a pid's own. */
  for (int n = 0; n < s->count; n++)
    for (unsigned i = slot_of(s->list[n]); s->slots[i % PIDSET_SLOTS] != 0; i++) s->slots[i % PIDSET_SLOTS] = 0;
  s->count = 0;
}
