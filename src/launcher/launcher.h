/* What the files of the launcher know of each other. */

/* Plays Docker's userland proxy. Comes back where Node has to. */
void docker_proxy(char **words);

/*
 * Whether a process goes on: a signal has stopped it and nobody has continued it since, it is frozen with its control
 * group, or it has ended.
 */
enum state { RUNS, STOPPED, FROZEN, GONE };
enum state state_of(int pid);

/* True where Node can be started; else what is lacking, in words without quotes. */
int has_room(char *lack, int size);

/* True where the first node of PATH is the one that the record tells of; then its path, too. */
int is_known_node(const char *record, char *node, int size);

/* Answers a call with an error: of CNI in the version of its configuration, of netavark, which has no codes, in its form. */
enum { NETAVARK = 0 };
void say_error(const char *input, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A connection to the daemon's control socket; -1 where nobody listens. */
int connect_daemon(void);

/* Comes back when a daemon is ready, or could not be started: then nobody else tries for this time. */
void start_daemon(int pause_ms);
