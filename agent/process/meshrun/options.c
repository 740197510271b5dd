#include "options.h"

#include <stddef.h>
#include <string.h>

#include "text.h"

static const char *value_of(const char *arg, const char *flag) {
  size_t n = strlen(flag);
  return strncmp(arg, flag, n) == 0 && arg[n] == '=' ? arg + n + 1 : 0;
}

static bool number_flag(const char *arg, const char *flag, int64_t *out, bool *bad) {
  const char *v = value_of(arg, flag);
  if (!v) return false;
  if (!parse_number(v, out)) *bad = true;
  return true;
}

static bool text_flag_of(const char *arg, const char *flag, const char **out) {
  const char *v = value_of(arg, flag);
  if (v) *out = v;
  return v != 0;
}

const char *options_parse(struct options *o, int argc, char **argv) {
  int64_t signal_number = 15;
  *o = (struct options){.cwd = "/", .budget_ms = -1, .grace_ms = 10000, .linger_ms = 500,
                        .patience_ms = 5000, .limit_bytes = 64 << 20, .most_processes = -1};
  int i = 0;
  for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
    bool bad = false;
    const char *a = argv[i];
    if (strcmp(a, "--pty") == 0) o->pty = true;
    else if (strcmp(a, "--no-children-file") == 0) o->no_children_file = true;
    else if (strcmp(a, "--no-cgroup-kill") == 0) o->no_cgroup_kill = true;
    else if (value_of(a, "--rlimit") && o->rlimit_count < MOST_RLIMITS) o->rlimits[o->rlimit_count++] = value_of(a, "--rlimit");
    else if (value_of(a, "--limit") && o->limit_count < MOST_LIMITS) o->limits[o->limit_count++] = value_of(a, "--limit");
    else if (!text_flag_of(a, "--step", &o->step) && !text_flag_of(a, "--cookie", &o->cookie) &&
             !text_flag_of(a, "--cwd", &o->cwd) && !text_flag_of(a, "--make", &o->make) && !text_flag_of(a, "--stop-file", &o->stop_file) &&
             !text_flag_of(a, "--cgroup", &o->cgroup) && !text_flag_of(a, "--cpus", &o->cpus) && !number_flag(a, "--most-processes", &o->most_processes, &bad) &&
             !number_flag(a, "--budget-ms", &o->budget_ms, &bad) &&
             !number_flag(a, "--grace-ms", &o->grace_ms, &bad) &&
             !number_flag(a, "--linger-ms", &o->linger_ms, &bad) &&
             !number_flag(a, "--patience-ms", &o->patience_ms, &bad) &&
             !number_flag(a, "--limit-bytes", &o->limit_bytes, &bad) &&
             !number_flag(a, "--stop-signal", &signal_number, &bad))
      return a;
    if (bad) return a;
  }
  if (!o->step) return "--step";
  if (!o->cookie || strchr(o->cookie, '/')) return "--cookie";
  if (signal_number < 1 || signal_number > 64) return "--stop-signal";
  if (o->limit_count && !o->cgroup) return "--limit";
  if (i + 1 >= argc) return "--";
  o->stop_signal = (int)signal_number;
  o->argv = argv + i + 1;
  return 0;
}
