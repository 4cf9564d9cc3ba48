/* What the files of the launcher know of each other. */

/* Plays Docker's userland proxy. Comes back where Node has to. */
void docker_proxy(char **words);

/* True for a process that a signal has stopped, and nobody has continued since. */
int is_stopped(int pid);

/* True where Node can be started; else what is lacking, in words without quotes. */
int has_room(char *lack, int size);

/* Answers a CNI call with an error, in the version of its configuration. */
void say_error(const char *input, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A connection to the daemon's control socket; -1 where nobody listens. */
int connect_daemon(void);

/* Comes back when a daemon is ready, or could not be started: then nobody else tries for this time. */
void start_daemon(int pause_ms);
