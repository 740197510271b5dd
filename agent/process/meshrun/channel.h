/* channel: the two FIFOs by which the agent and meshrun talk, and which show that
 * meshrun lives: `ctl` (commands; no reader means gone) and `exit` (EOF means gone).
 * Both are held open for reading and writing, so neither blocks nor ends early. They may be
 * there already, from a step that has ended, and stay for the agent to use again.
 *
 * Into `exit` go, never blocking and dropped when full: 's' once `started` is recorded,
 * 'r' for any other record line, 'o' for new output (at most once per WAKE_EVERY_US), and "!LINE\n" for a record line that
 * could not be written to disk. */
#ifndef MESHRUN_CHANNEL_H
#define MESHRUN_CHANNEL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WAKE_EVERY_US = 50000 };

struct channel {
  int ctl_fd, exit_fd;
  bool output_waiting;
  int64_t next_output_us;
  size_t held;
  char line[64];
};

/* 0, or -1 with errno. */
int channel_open(struct channel *c, int step_fd);
/* `ctl` first: where nobody writes into `exit` any more, nobody reads commands. */
void channel_close(struct channel *c);
void channel_started(struct channel *c);
void channel_record(struct channel *c);
void channel_lost_line(struct channel *c, const char *line, size_t length);
void channel_output(struct channel *c, int64_t now_us);
/* Sends what the pace held back; returns when to call again, or -1. */
int64_t channel_due(struct channel *c, int64_t now_us);
/* The next whole command line into `line` (0-ended), or false. */
bool channel_command(struct channel *c, char line[64]);
#endif
