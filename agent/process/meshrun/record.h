/* record: the step's append-only record, one JSON object a line.
 *
 * The record is the only truth about how a step ended (I8), so each write is checked.
 * Its space is reserved before the child may run, so a full disk cannot swallow the end;
 * should a write fail all the same, the line goes to whoever holds the exit FIFO open and
 * meshrun's own exit status says so (EXIT_RECORD_LOST).
 *
 * It may have been the record of a step before, emptied with newlines: lines are written over them,
 * from the beginning on, and the newlines that are left after them count for nothing.
 *
 * The record begins as the token record.COOKIE, made by the agent. Renaming it to
 * `record` is what permits a start: an agent that adopts removes the token, so a start
 * that comes late finds none and ends (I8: never starts one twice). */
#ifndef MESHRUN_RECORD_H
#define MESHRUN_RECORD_H
#include <sys/types.h>

#include "text.h"

enum { RECORD_RESERVED = 4096, EXIT_RECORD_LOST = 75 };

struct record {
  int fd;
  off_t length; /* of the lines so far */
  bool lost; /* a line could not be written */
};

/* Takes the token and reserves the space; 0, or -1 with errno. */
int record_take(struct record *r, int step_fd, const char *cookie);
/* {"type":"...","atMs":wall clock */
void record_line(struct text *t, const char *type);
/* Ends the line with } and writes it; false if it could not be written whole. */
bool record_append(struct record *r, struct text *t);
#endif
