#include "tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "host.h"
#include "text.h"

enum { FREEZE_ROUNDS = 24 };

static struct pidset found, frozen;

/* /proc/PID/<rest>, as a 0-ended string. */
static const char *proc_path(struct text *t, pid_t pid, const char *rest) {
  text_clear(t);
  text_add(t, "/proc/");
  text_number(t, pid);
  text_add(t, rest);
  t->bytes[t->length] = 0;
  return t->bytes;
}

/* Adds the pids of one "children" file: decimal numbers, each followed by a space. */
static void add_children(int fd, struct pidset *into) {
  char part[4096];
  pid_t pid = 0;
  for (ssize_t n; (n = read(fd, part, sizeof part)) > 0;)
    for (ssize_t i = 0; i < n; i++) {
      if (part[i] >= '0' && part[i] <= '9') pid = pid * 10 + (part[i] - '0');
      else if (pid) {
        pidset_add(into, pid);
        pid = 0;
      }
    }
}

/* A child belongs to the thread that forked it, so every thread is asked. */
static void children_of(pid_t pid, struct pidset *into) {
  struct text path;
  DIR *tasks = opendir(proc_path(&path, pid, "/task"));
  if (!tasks) return;
  for (struct dirent *entry; (entry = readdir(tasks));) {
    if (entry->d_name[0] == '.') continue;
    text_clear(&path);
    text_add(&path, entry->d_name);
    text_add(&path, "/children");
    path.bytes[path.length] = 0;
    int fd = openat(dirfd(tasks), path.bytes, O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    add_children(fd, into);
    close(fd);
  }
  closedir(tasks);
}

static pid_t parent_of(pid_t pid) {
  struct text path;
  char stat[1024];
  int64_t parent = 0;
  if (read_small(proc_path(&path, pid, "/stat"), stat, sizeof stat) < 0) return 0;
  char *p = strrchr(stat, ')');
  if (!p || strlen(p) < 5) return 0;
  char *end = strchr(p += 4, ' ');
  if (end) *end = 0;
  return parse_number(p, &parent) ? (pid_t)parent : 0;
}

/* Every process with its parent, read once, then chained by parent so that the closure
 * is one pass. */
static void walk_all(struct pidset *into) {
  static pid_t parents[PIDSET_MAX];
  static int first_child[PIDSET_SLOTS], sibling[PIDSET_MAX];
  static struct pidset all;
  pidset_clear(&all);
  DIR *proc = opendir("/proc");
  if (!proc) return;
  for (struct dirent *entry; (entry = readdir(proc));) {
    int64_t pid;
    if (parse_number(entry->d_name, &pid) && pidset_add(&all, (pid_t)pid)) parents[all.count - 1] = parent_of((pid_t)pid);
  }
  closedir(proc);
  memset(first_child, 0, sizeof first_child);
  for (int i = 0; i < all.count; i++) {
    unsigned bucket = (unsigned)parents[i] % PIDSET_SLOTS; /* shared by few, told apart below */
    sibling[i] = first_child[bucket];
    first_child[bucket] = i + 1;
  }
  int from = into->count;
  pid_t parent = getpid();
  for (;;) {
    for (int i = first_child[(unsigned)parent % PIDSET_SLOTS]; i; i = sibling[i - 1])
      if (parents[i - 1] == parent) pidset_add(into, all.list[i - 1]);
    if (from == into->count) break;
    parent = into->list[from++];
  }
}

void tree_walk(struct pidset *into, const struct scope *scope) {
  int from = into->count;
  if (scope->indirect) walk_all(into);
  else {
    children_of(getpid(), into);
    while (from < into->count) children_of(into->list[from++], into);
  }
  cgroup_pids(&scope->cgroup, into);
}

bool tree_has_children_files(void) {
  struct text path;
  text_clear(&path);
  text_add(&path, "/proc/self/task/");
  text_number(&path, getpid());
  text_add(&path, "/children");
  path.bytes[path.length] = 0;
  return access(path.bytes, R_OK) == 0;
}

int tree_signal(int signal_number, struct pidset *seen, const struct scope *scope) {
  pidset_clear(&found);
  tree_walk(&found, scope);
  for (int i = 0; i < found.count; i++) {
    pidset_add(seen, found.list[i]);
    kill(found.list[i], signal_number);
  }
  /* CONT after all have their signal: a stopped one acts on it only then. */
  for (int i = 0; i < found.count; i++) kill(found.list[i], SIGCONT);
  return found.count;
}

int tree_kill(struct pidset *seen, const struct scope *scope) {
  pidset_clear(&frozen);
  for (int round = 0; round < FREEZE_ROUNDS; round++) {
    pidset_clear(&found);
    tree_walk(&found, scope);
    int fresh = 0;
    for (int i = 0; i < found.count; i++)
      if (pidset_add(&frozen, found.list[i])) {
        kill(found.list[i], SIGSTOP);
        fresh++;
      }
    if (fresh == 0) break;
  }
  for (int i = 0; i < frozen.count; i++) {
    pidset_add(seen, frozen.list[i]);
    kill(frozen.list[i], SIGKILL);
  }
  return frozen.count;
}
