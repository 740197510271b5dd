/* options: what meshrun is asked to do, from its flags. Everything after "--" is
 * the child's argv; meshrun's own environment is the child's. */
#ifndef MESHRUN_OPTIONS_H
#define MESHRUN_OPTIONS_H
#include <stdbool.h>
#include <stdint.h>

enum { MOST_LIMITS = 8, MOST_RLIMITS = 8 };

struct options {
  const char *step;      /* --step DIR: where record, FIFOs and segments live */
  const char *cookie;    /* --cookie TEXT: names the start token record.TEXT, kept in the record */
  const char *cwd;       /* --cwd DIR of the child */
  const char *make;      /* --make DIR that is made unless it is there, before anything else; may be absent */
  const char *stop_file; /* --stop-file PATH, created when a stop begins; may be absent */
  int64_t budget_ms;     /* --budget-ms, -1: none */
  int64_t grace_ms;      /* --grace-ms from the stop signal to KILL */
  int64_t linger_ms;     /* --linger-ms orphans may finish by themselves after the main child */
  int64_t patience_ms;   /* --patience-ms of KILL before survivors are reported */
  int64_t limit_bytes;   /* --limit-bytes of undelivered output on disk */
  int stop_signal;       /* --stop-signal NUMBER */
  bool pty;              /* --pty: stdout and stderr are terminals */
  bool no_children_file; /* --no-children-file: as on a kernel without /proc/.../children */
  const char *cgroup;    /* --cgroup DIR in which the step gets one of its own; may be absent */
  const char *limits[MOST_LIMITS]; /* --limit FILE=VALUE, written to its cgroup; without one there is no start */
  int limit_count;
  int64_t most_processes; /* --most-processes of the child's user (RLIMIT_NPROC), -1: as inherited */
  const char *rlimits[MOST_RLIMITS]; /* --rlimit NAME=VALUE, soft and hard, of each of its processes (child.c has the names) */
  int rlimit_count;
  const char *cpus;       /* --cpus LIST the child may run on, as in cpuset(7); absent: as inherited */
  bool no_cgroup_kill;   /* --no-cgroup-kill: as on a kernel without cgroup.kill */
  char **argv;           /* the child's, after "--" */
};

/* Returns 0, or the flag (or a word) that is wrong. */
const char *options_parse(struct options *o, int argc, char **argv);
#endif
