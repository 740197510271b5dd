#define _GNU_SOURCE
#include "spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "affinity.h"
#include "options.h"
#include "report.h"
#include "step.h"
#include "tree.h"

extern char **environ;

enum { MOST_STEPS = 4096, FRAME_MAX = 4 << 20, STRINGS_MAX = 1 << 16 };

static const char BIND[] = "--bind=";

struct frame {
  int64_t id;
  uint32_t argc, envc;
  char strings[];
};

static struct { pid_t pid; int64_t id; } steps[MOST_STEPS];
static int step_count;
static union { struct frame head; char bytes[FRAME_MAX]; } frame;
static char *words[STRINGS_MAX];
static int request_fd, answer_fd, signal_fd;

static void answer(struct text *t) {
  text_add(t, "\n");
  while (write(answer_fd, t->bytes, t->length) < 0 && errno == EINTR) {}
}

static bool read_all(void *into, size_t length) {
  for (char *at = into; length;) {
    ssize_t n = read(request_fd, at, length);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    length -= (size_t)n;
  }
  return true;
}

/* Splits the frame's strings into argv and env, both ended with 0. */
static bool split(uint32_t length, char ***argv, char ***env) {
  uint32_t total = frame.head.argc + frame.head.envc, n = 0;
  char *end = frame.bytes + length, *at = frame.head.strings;
  if (frame.head.argc > STRINGS_MAX || frame.head.envc > STRINGS_MAX || total + 2 > STRINGS_MAX) return false;
  if (length <= sizeof frame.head || end[-1] != 0) return false;
  *argv = words;
  *env = words + frame.head.argc + 1;
  for (; at < end && n < total; at += strlen(at) + 1, n++) words[n < frame.head.argc ? n : n + 1] = at;
  words[frame.head.argc] = 0;
  words[total + 1] = 0;
  return n == total;
}

static _Noreturn void become_step(struct host *h, char **argv, char **env) {
  struct options o;
  struct starter starter = {.fd = answer_fd, .id = frame.head.id};
  setsid();
  close(request_fd);
  close(signal_fd);
  environ = env;
  const char *wrong = options_parse(&o, (int)frame.head.argc, argv);
  if (wrong) {
    errno = EINVAL;
    report_start(answer_fd, frame.head.id, (struct start){.wrong = wrong});
    _exit(EXIT_NOT_STARTED);
  }
  _exit(step_run(&o, h, starter));
}

static void fail(int error, const char *what) {
  struct text t;
  text_clear(&t);
  text_add(&t, "failed ");
  text_number(&t, frame.head.id);
  text_add(&t, " ");
  text_number(&t, error);
  text_add(&t, " ");
  text_add(&t, what);
  answer(&t);
}

/* "PID:START" of a process that lives, else 0. */
static pid_t named(char *word) {
  int64_t pid, start;
  char *colon = strchr(word, ':');
  if (!colon) return 0;
  *colon = 0;
  if (!parse_number(word, &pid) || !parse_number(colon + 1, &start)) return 0;
  return start_time_of((pid_t)pid) == start ? (pid_t)pid : 0;
}

/* What has ended meanwhile needs no CPU. */
static bool bind_one(pid_t pid, const char *cpus) { return affinity_bind_process(pid, cpus) || errno == ESRCH || errno == ENOENT; }

static void on_bind(const char *cpus, char **processes) {
  struct text t;
  bool bound = affinity_bind(cpus);
  for (int i = 0; bound && i < step_count; i++) bound = bind_one(steps[i].pid, cpus);
  for (; bound && *processes; processes++) {
    pid_t pid = named(*processes);
    if (pid > 0) bound = bind_one(pid, cpus);
  }
  if (!bound) {
    fail(errno, "bind");
    return;
  }
  text_clear(&t);
  text_add(&t, "bound ");
  text_number(&t, frame.head.id);
  answer(&t);
}

/* False when the agent is gone, or speaks another language. */
static bool on_request(struct host *h) {
  uint32_t length;
  char **argv, **env;
  if (!read_all(&length, sizeof length) || length < sizeof frame.head || length > FRAME_MAX) return false;
  if (!read_all(&frame, length)) return false;
  if (!split(length, &argv, &env)) {
    fail(EINVAL, "request");
    return true;
  }
  if (frame.head.argc > 0 && strncmp(argv[0], BIND, sizeof BIND - 1) == 0) {
    on_bind(argv[0] + sizeof BIND - 1, argv + 1);
    return true;
  }
  if (step_count == MOST_STEPS) {
    fail(EAGAIN, "too many steps");
    return true;
  }
  pid_t pid = fork();
  if (pid < 0) fail(errno, "fork");
  if (pid == 0) become_step(h, argv, env);
  if (pid > 0) {
    steps[step_count].pid = pid;
    steps[step_count++].id = frame.head.id;
  }
  return true;
}

static void on_child(void) {
  struct signalfd_siginfo info;
  int status;
  while (read(signal_fd, &info, sizeof info) > 0) {}
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
    for (int i = 0; i < step_count; i++)
      if (steps[i].pid == pid) {
        struct text t;
        text_clear(&t);
        text_add(&t, "died ");
        text_number(&t, steps[i].id);
        text_add(&t, " ");
        text_number(&t, status);
        if (status != 0) answer(&t);
        steps[i] = steps[--step_count];
        break;
      }
}

static void hello(const struct host *h) {
  struct text t;
  bool able = prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 && prctl(PR_SET_CHILD_SUBREAPER, 0) == 0;
  text_clear(&t);
  text_add(&t, "hello 1 ");
  text_add(&t, able ? "subreaper" : "no-subreaper");
  text_add(&t, access("/proc/self/stat", R_OK) == 0 ? " proc" : " no-proc");
  text_add(&t, tree_has_children_files() ? " children " : " no-children ");
  text_add(&t, h->boot_id);
  answer(&t);
}

int spawner_run(struct host *h) {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  request_fd = fcntl(0, F_DUPFD_CLOEXEC, 3);
  answer_fd = fcntl(1, F_DUPFD_CLOEXEC, 3);
  signal_fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
  if (request_fd < 0 || answer_fd < 0 || signal_fd < 0 || h->null_fd < 0) return EXIT_NOT_STARTED;
  for (int fd = 0; fd < 3; fd++) dup2(h->null_fd, fd);
  hello(h);
  struct pollfd polled[2] = {{.fd = request_fd, .events = POLLIN}, {.fd = signal_fd, .events = POLLIN}};
  for (;;) {
    if (poll(polled, 2, -1) < 0) continue;
    if (polled[1].revents) on_child();
    if (polled[0].revents && !on_request(h)) return 0;
  }
}
