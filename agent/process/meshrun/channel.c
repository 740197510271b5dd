#define _GNU_SOURCE
#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_fifo(int step_fd, const char *name) {
  if (mkfifoat(step_fd, name, 0600) < 0 && errno != EEXIST) return -1;
  return openat(step_fd, name, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
}

int channel_open(struct channel *c, int step_fd) {
  *c = (struct channel){0};
  c->ctl_fd = open_fifo(step_fd, "ctl");
  if (c->ctl_fd < 0) return -1;
  c->exit_fd = open_fifo(step_fd, "exit");
  return c->exit_fd < 0 ? -1 : 0;
}

void channel_close(struct channel *c) {
  close(c->ctl_fd);
  close(c->exit_fd);
}

static void post(struct channel *c, const char *bytes, size_t length) {
  /* Full means that a wake-up is waiting there already. */
  if (write(c->exit_fd, bytes, length) < 0) return;
}

void channel_started(struct channel *c) { post(c, "s", 1); }

void channel_record(struct channel *c) { post(c, "r", 1); }

void channel_lost_line(struct channel *c, const char *line, size_t length) {
  char whole[4096];
  if (length + 1 > sizeof whole) return;
  whole[0] = '!';
  memcpy(whole + 1, line, length);
  post(c, whole, length + 1);
}

void channel_output(struct channel *c, int64_t now_us) {
  c->output_waiting = true;
  channel_due(c, now_us);
}

int64_t channel_due(struct channel *c, int64_t now_us) {
  if (!c->output_waiting) return -1;
  if (now_us < c->next_output_us) return c->next_output_us;
  c->output_waiting = false;
  c->next_output_us = now_us + WAKE_EVERY_US;
  post(c, "o", 1);
  return -1;
}

bool channel_command(struct channel *c, char line[64]) {
  for (;;) {
    char *end = memchr(c->line, '\n', c->held);
    if (end) {
      size_t n = (size_t)(end - c->line);
      memcpy(line, c->line, n);
      line[n] = 0;
      c->held -= n + 1;
      memmove(c->line, end + 1, c->held);
      return true;
    }
    if (c->held == sizeof c->line) c->held = 0; /* no command is that long */
    ssize_t n = read(c->ctl_fd, c->line + c->held, sizeof c->line - c->held);
    if (n <= 0) return false;
    c->held += (size_t)n;
  }
}
