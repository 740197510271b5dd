/* spawner: makes meshruns for an agent, by fork alone. Node would be blocked 1 ms for each
 * spawn, and longer the more memory it holds; this process holds none.
 *
 * Requests come on stdin, one frame each: u32 length of the rest, i64 id, u32 argc, u32 envc
 * (native byte order), then argc + envc strings, each ended with 0. Answers go to stdout,
 * one line each: "hello ...", "ready ID PID[ cgroup]", "failed ID ERRNO WHAT", and "died ID STATUS"
 * for a meshrun that did not end with 0 (STATUS as from wait).
 *
 * A frame "--bind=CPUS PID:START ..." starts nothing: it binds those processes (START: field 22 of
 * /proc/PID/stat, so that no later process of the pid is meant), this one, and the meshruns it made,
 * to the CPUs; "bound ID", or "failed ID ERRNO WHAT". What is asked for after it is made on them.
 *
 * Ends when stdin ends; the meshruns live on (I8). Answers hold the pipe open, so that it
 * ends only once every start that was begun is decided: on disk, or never. */
#ifndef MESHRUN_SPAWNER_H
#define MESHRUN_SPAWNER_H
#include "host.h"

int spawner_run(struct host *h);
#endif
