/* child: the step's main process, from fork to exec.
 *
 * 1. It waits at a gate until its parent has recorded it: a pid that ran is on disk (I8).
 *    If the parent dies first the gate ends, and the child with it.
 * 2. It gets its own session, default signals, an empty mask, no descriptor of meshrun's,
 *    an oom_score_adj above the agent's, and KILL should meshrun die.
 * 3. execve with a PATH search of its own: execvp would give a file that is not a program
 *    to /bin/sh. What goes wrong comes back as errno with the stage and the reason. */
#ifndef MESHRUN_CHILD_H
#define MESHRUN_CHILD_H
#include <stdbool.h>
#include <sys/types.h>

#include "cgroup.h"
#include "host.h"
#include "options.h"

struct child {
  pid_t pid;
  int gate_fd;        /* opened by writing one byte; answers with a struct failure, or EOF at exec */
  int output_fds[2];  /* stdout, stderr: to read, non-blocking */
};

struct failure {
  int error;
  char stage[16];  /* setup, cwd, exec */
  char reason[24]; /* not-found, interpreter-missing, not-executable, corrupt, no-interpreter-line, ... */
  char path[1024]; /* cut if longer */
};

/* Forks, into the cgroup if there is one; the child then waits at the gate. 0, or -1 with errno. */
int child_fork(struct child *c, const struct options *o, const struct host *h, const struct cgroup *g);
/* Of a start that came to nothing: ends the child, and waits for it. */
void child_abandon(struct child *c);
void child_open_gate(struct child *c);
/* What the child said before it ended; false if it got as far as exec. */
bool child_failure(struct child *c, struct failure *f);

/* exec.c: never returns but on failure, which it describes. */
void exec_search(char **argv, char **env, struct failure *f);
#endif
