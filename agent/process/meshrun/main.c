/* meshrun: runs one step of an attempt, outlives the agent, proves that nothing is left.
 *
 *   meshrun --step=DIR --cookie=TEXT [flags, see options.h] -- PROGRAM [ARGUMENT ...]
 *   meshrun --spawner        makes such processes on request, see spawner.h
 *   meshrun --cgroup-delegated=DIR    ends with 0 if its owner has left that cgroup to others
 *   meshrun --cgroup-trial=DIR        ends with 0 if steps can have cgroups in it, else says why not
 *
 * Its architecture is in ../README.md. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cgroup.h"
#include "host.h"
#include "options.h"
#include "report.h"
#include "spawner.h"
#include "step.h"

enum { EXIT_USAGE = 64, EXIT_NO_CGROUP = 1 };

static void complain(const char *wrong) {
  struct text t;
  text_clear(&t);
  text_add(&t, "meshrun: missing or wrong: ");
  text_add(&t, wrong);
  text_add(&t, "\n");
  if (write(2, t.bytes, t.length) < 0) return;
}

/* "WHAT ERRNO" on stdout. */
static int try_cgroup(const char *dir) {
  struct text t;
  const char *wrong = cgroup_trial(dir);
  int error = errno;
  if (!wrong) return 0;
  text_clear(&t);
  text_add(&t, wrong);
  text_add(&t, " ");
  text_number(&t, error);
  text_add(&t, "\n");
  return write(1, t.bytes, t.length) < 0 ? EXIT_USAGE : EXIT_NO_CGROUP;
}

/* The rest of the only argument after FLAG=, or 0. */
static const char *only(int argc, char **argv, const char *flag) {
  size_t n = strlen(flag);
  return argc == 2 && strncmp(argv[1], flag, n) == 0 && argv[1][n] == '=' ? argv[1] + n + 1 : 0;
}

/* SIGCHLD is read from a signalfd, TERM and INT mean stop, the rest must not end us. */
static void own_signals(void) {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  sigaddset(&mask, SIGTERM);
  sigaddset(&mask, SIGINT);
  sigprocmask(SIG_SETMASK, &mask, 0);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  signal(SIGCHLD, SIG_DFL);
}

int main(int argc, char **argv) {
  static struct host host;
  struct options o;
  own_signals();
  syscall(SYS_close_range, 3u, ~0u, 0u); /* whatever the caller forgot */
  host_read(&host);
  if (argc == 2 && strcmp(argv[1], "--spawner") == 0) return spawner_run(&host);
  const char *dir = only(argc, argv, "--cgroup-delegated");
  if (dir) return cgroup_is_delegated(dir) ? 0 : EXIT_NO_CGROUP;
  dir = only(argc, argv, "--cgroup-trial");
  if (dir) return try_cgroup(dir);
  const char *wrong = options_parse(&o, argc - 1, argv + 1);
  if (wrong) {
    complain(wrong);
    return EXIT_USAGE;
  }
  return step_run(&o, &host, (struct starter){.fd = -1});
}
